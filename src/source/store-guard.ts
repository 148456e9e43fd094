/**
 * How full the stores are that fill while a run depends on them: the COW store of a thick snapshot, the
 * data and metadata of a thin pool.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { LvmsyncError, UNTOUCHED, withContext } from '../base/errors.js';
import type { RunCommand } from '../host/subprocess.js';
import { askHost } from '../lvm/host-tools.js';
import { fillsOf, readStores, type Store, type StoreStatus } from '../lvm/store-status.js';
import { failedPool } from '../lvm/thin-pool.js';
import type { RunContext } from '../run/context.js';
import type { Fill } from '../run/progress.js';
import type { Reporter } from '../run/reporter.js';
import { explainRead, isOverflow, overflowed, storeOf } from './overflow.js';
import type { Source } from './source.js';

/** Milliseconds between two looks. */
const INTERVAL_MS = 1000;
/** The same where they are only to be reported, and before the first of these. */
const TELLING_MS = 10_000;
const BEFORE_TELLING_MS = 1000;

export interface StoreGuard {
  readonly source: Pick<Source, 'device' | 'stores'>;
  /** For any store: reached, it ends the run. Undefined: none does. */
  readonly maxPercent: number | undefined;
  readonly context: RunContext;
}

/**
 * Does the work; once a store is as full as the limit says, its signal is aborted with that as the
 * reason. Throws before the work where a store is so full already (sourceUnfit, pool), or where there is
 * no store to look at (usage). A read that failed because its snapshot overflowed is called that.
 */
export async function guardStores<T>(
  guard: StoreGuard,
  work: (context: RunContext) => Promise<T>,
  { run = askHost, interval = INTERVAL_MS, ...pauses }: Partial<GuardRhythm> = {},
): Promise<T> {
  const { source, maxPercent, context } = guard;
  const own = storeOf(source.device);
  const stores = own === undefined ? source.stores : [...source.stores, own];
  try {
    if (maxPercent === undefined) {
      const { reporter } = context;
      return await reportingFills({ stores, reporter, run, ...pauses }, () => work(context));
    }
    const watch = new StoreWatch({ stores, own, maxPercent, run, reporter: context.reporter });
    await watch.begin();
    return await watch.during(context, work, interval);
  } catch (error) {
    throw await explainRead(error, own, run);
  }
}

/** For tests: how stores are looked at, and the milliseconds between two looks. */
interface GuardRhythm extends TellingPauses {
  readonly run: RunCommand;
  readonly interval: number;
}

interface TellingPauses {
  readonly first?: number;
  readonly further?: number;
}

interface Telling extends TellingPauses {
  readonly stores: readonly Store[];
  readonly reporter: Reporter;
  readonly run: RunCommand;
}

/** Does the work; where its progress is shown, that shows how full the stores are. */
async function reportingFills<T>(telling: Telling, work: () => Promise<T>): Promise<T> {
  if (telling.stores.length === 0 || !telling.reporter.showsProgress) return work();
  const done = new AbortController();
  const reporting = reportFills(telling, done.signal);
  try {
    return await work();
  } finally {
    done.abort();
    await reporting;
  }
}

/** Ends where nothing fills, or nothing can be found out: the run does not need it. Never rejects. */
async function reportFills(
  { stores, reporter, run, first = BEFORE_TELLING_MS, further = TELLING_MS }: Telling,
  done: AbortSignal,
): Promise<void> {
  for (let pause = first; !done.aborted; pause = further) {
    await sleep(pause, undefined, { signal: done }).catch(() => undefined);
    if (done.aborted) return;
    // A run that is over does not wait for its report.
    const found = await readStores(stores, run, done).catch(() => []);
    const fills = found.flatMap(fillsOf);
    reporter.noteFills(fills);
    if (fills.length === 0) return;
  }
}

/** The fill of everything that fills while the source is read. */
export function readFills(source: StoreGuard['source']): Promise<Fill[]> {
  const own = storeOf(source.device);
  return readFillsOf([...source.stores, ...(own === undefined ? [] : [own])]);
}

export async function readFillsOf(
  stores: readonly Store[],
  run: RunCommand = askHost,
): Promise<Fill[]> {
  const found = await readStores(stores, run);
  return found.flatMap(fillsOf);
}

interface StoreRules {
  readonly stores: readonly Store[];
  /** Whose snapshot the data are read from. */
  readonly own: Store | undefined;
  readonly maxPercent: number;
  readonly run: RunCommand;
  readonly reporter: Reporter;
}

class StoreWatch {
  readonly #rules: StoreRules;

  constructor(rules: StoreRules) {
    this.#rules = rules;
  }

  async begin(): Promise<void> {
    const { stores, run } = this.#rules;
    const found = await readStores(stores, run);
    if (found.flatMap(fillsOf).length === 0) {
      throw new LvmsyncError(
        'usage',
        '--max-cow-use: the source has neither a COW store nor a thin pool',
      );
    }
    const fault = this.#judge(found);
    if (fault !== undefined) throw withContext(fault, UNTOUCHED);
  }

  async during<T>(
    context: RunContext,
    work: (context: RunContext) => Promise<T>,
    interval: number,
  ): Promise<T> {
    const stop = new AbortController();
    const done = new AbortController();
    const pass = (): void => stop.abort(context.signal.reason);
    if (context.signal.aborted) pass();
    context.signal.addEventListener('abort', pass);
    const looking = this.#look(stop, done.signal, interval);
    try {
      return await work({ ...context, signal: stop.signal });
    } finally {
      done.abort();
      context.signal.removeEventListener('abort', pass);
      await looking;
    }
  }

  /** Ends with the first fault, which also is when nothing can be found out any more. Never rejects. */
  async #look(stop: AbortController, done: AbortSignal, interval: number): Promise<void> {
    const { stores, run } = this.#rules;
    while (!done.aborted) {
      await sleep(interval, undefined, { signal: done }).catch(() => undefined);
      if (done.aborted) return;
      try {
        const fault = this.#judge(await readStores(stores, run));
        if (fault === undefined) continue;
        stop.abort(fault);
      } catch (error) {
        stop.abort(error);
      }
      return;
    }
  }

  #judge(found: readonly StoreStatus[]): LvmsyncError | undefined {
    const { own, maxPercent, reporter } = this.#rules;
    reporter.noteFills(found.flatMap(fillsOf));
    for (const status of found) {
      const { store, target } = status;
      // A list that was read stays right: only what is being read from ends with its store.
      if (isOverflow(target) && store.dmUuid === own?.dmUuid) return overflowed(store, target);
      if (target.type === 'thin-pool' && 'fault' in target) return failedPool(store.name);
      for (const fill of fillsOf(status)) {
        if (fill.percent >= maxPercent) return tooFull(fill, maxPercent);
      }
    }
    return undefined;
  }
}

function tooFull({ name, what, percent }: Fill, maxPercent: number): LvmsyncError {
  const option = what === 'metadata' ? '--poolmetadatasize' : '--size';
  return new LvmsyncError(
    what === 'COW store' ? 'sourceUnfit' : 'pool',
    `${name}: its ${what} ${what === 'COW store' ? 'is' : 'are'} ${percent.toFixed(1)}% full, which reaches --max-cow-use ${maxPercent}`,
    { hint: `Make room: lvextend ${option} +SIZE ${name}.` },
  );
}

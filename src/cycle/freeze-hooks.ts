/**
 * Commands of the user around the making of a snapshot, for databases and virtual machines: one has
 * them come to rest, the other lets them go on. File systems on the volume need neither, lvcreate
 * freezes them by itself.
 */

import { messageOf } from '../base/errno.js';
import { LvmsyncError, withContext } from '../base/errors.js';
import { quoteWord } from '../base/shell-words.js';
import { OWN_PROGRAM } from '../host/addon.js';
import { THAW_WATCHER } from '../host/helper-names.js';
import {
  type Argv,
  CommandError,
  type Companion,
  type RunCommand,
  runCommand,
  startCompanion,
} from '../host/subprocess.js';

export interface FreezeHooks {
  readonly freeze: Argv | undefined;
  readonly thaw: Argv | undefined;
}

export interface HookEffects {
  readonly run: RunCommand;
  /** Starts who thaws, should this process be killed. */
  readonly startWatcher: (thaw: Argv) => Promise<Pick<Companion, 'dismiss'>>;
  readonly limits: HookLimits;
}

/** Milliseconds. Others wait for all of it. */
export interface HookLimits {
  /** After which each command is ended. */
  readonly hook: number;
  /** After which the thaw comes, though the work goes on. */
  readonly work: number;
}

const REAL: HookEffects = {
  run: runCommand,
  startWatcher: startThawWatcher,
  limits: { hook: 300_000, work: 120_000 },
};

/** A signal to the program's terminal must not reach a command that others wait for. */
const OF_USER = { userProgram: true, shielded: true } as const;

/**
 * Whatever happens, what was frozen is thawed: after a failure of the freeze or of the work as well,
 * after a time limit, and by another process if this one is killed. The thaw may come twice. `signal` ends
 * the freeze, not the work. Throws what the work threw, else what a hook did.
 */
export async function whileFrozen<T>(
  { freeze, thaw }: FreezeHooks,
  work: () => Promise<T>,
  signal: AbortSignal,
  { run, startWatcher, limits }: HookEffects = REAL,
): Promise<T> {
  const watcher = thaw && (await startWatcher(thaw));
  const hooks = { run, limit: limits.hook };
  const begun: { work?: Promise<T> } = {};
  let frozen: PromiseSettledResult<void>;
  try {
    const freezeAndWork = async (): Promise<void> => {
      if (freeze !== undefined) await runHook('--freeze-cmd', freeze, hooks, signal);
      begun.work = work();
      await within(limits.work, begun.work, thaw !== undefined);
    };
    [frozen] = await Promise.allSettled([freezeAndWork()]);
    if (thaw !== undefined) {
      await runHook('--thaw-cmd', thaw, hooks).catch((error: unknown) => {
        throw stillFrozen(error, thaw, { frozen, isMade: begun.work !== undefined });
      });
    }
  } finally {
    await Promise.allSettled([begun.work]);
    await watcher?.dismiss();
  }
  if (frozen.status === 'rejected') throw neverFrozen(frozen.reason, thaw, begun.work);
  if (begun.work === undefined) throw new TypeError('neither work nor a failure');
  return begun.work;
}

/** The failure of the thaw, and of the freeze if both failed. */
function stillFrozen(
  error: unknown,
  thaw: Argv,
  about: { readonly frozen: PromiseSettledResult<void>; readonly isMade: boolean },
): unknown {
  if (!(error instanceof LvmsyncError)) return error;
  const { frozen, isMade } = about;
  const before = frozen.status === 'rejected' ? `${messageOf(frozen.reason)}; ` : '';
  const made = isMade ? ' A snapshot that was made is removed by the next cycle run.' : '';
  return new LvmsyncError(error.code, before + error.message, {
    state: `The service may still be frozen. Nothing was sent.${made}`,
    hint: `Run the thaw command by hand: ${thaw.map(quoteWord).join(' ')}`,
    cause: error,
  });
}

/** A failure of the freeze; one of the work says itself what it left. */
function neverFrozen(error: unknown, thaw: Argv | undefined, work: unknown): unknown {
  if (!(error instanceof LvmsyncError) || work !== undefined) return error;
  const thawed = thaw === undefined ? '' : ' The thaw command was run.';
  return withContext(error, { state: `No snapshot was made, and nothing was sent.${thawed}` });
}

/** Ended by the signal, or after so many milliseconds. */
async function runHook(
  option: string,
  argv: Argv,
  { run, limit }: { readonly run: RunCommand; readonly limit: number },
  signal?: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const pass = (): void => stop.abort(signal?.reason);
  const seconds = limit / 1000;
  const late = `${option}: ${argv[0]} did not finish in ${seconds} s and was stopped`;
  const timer = setTimeout(() => stop.abort(new LvmsyncError('usage', late)), limit);
  if (signal?.aborted) pass();
  signal?.addEventListener('abort', pass);
  try {
    await run(argv, { ...OF_USER, signal: stop.signal });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new LvmsyncError(error.code, `${option}: ${error.message}`, { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', pass);
  }
}

/** Throws (sourceUnfit) if the work takes longer than so many milliseconds. */
async function within(limit: number, work: Promise<unknown>, isThawed: boolean): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const outcome = isThawed ? ': thawed without one' : '';
    const message = `no snapshot within ${limit / 1000} s of the freeze${outcome}`;
    const error = new LvmsyncError('sourceUnfit', message, {
      state: 'Nothing was sent. A snapshot made after that is removed by the next cycle run.',
    });
    timer = setTimeout(() => reject(error), limit);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const READY = 'ready';

async function startThawWatcher(thaw: Argv): Promise<Companion> {
  const companion = startCompanion([...OWN_PROGRAM, THAW_WATCHER, ...thaw], {
    userProgram: true,
  });
  const word = await companion.firstLine;
  if (word === READY) return companion;
  throw new LvmsyncError(
    'usage',
    `the process for the thaw command could not be started (${word})`,
  );
}

/** The effects of one turn of a cycle on LVM and on the copy. */

import { setTimeout as sleep } from 'node:timers/promises';
import { LvmsyncError, withContext } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import { sourceKinds } from '../chain/directory.js';
import type { Point } from '../chain/record.js';
import type { CycleCommand } from '../cli/command.js';
import { leaveOrRemove } from '../cycle/leave-or-remove.js';
import { sizeOfNext } from '../cycle/next-size.js';
import type { Turn, TurnEffects } from '../cycle/plan.js';
import { describeOverflow } from '../cycle/refusal.js';
import {
  activate,
  deactivate,
  isHooked,
  isNameTaken,
  makeSnapshot,
  removeSnapshot,
  timeAfter,
} from '../cycle/snapshots.js';
import { type CycleStore, rememberUse } from '../cycle/stores.js';
import { openCompared, openTurn } from '../cycle/turn-source.js';
import {
  type CycleOrigin,
  type CycleSnapshot,
  describeSnapshot,
  listSnapshots,
} from '../cycle/volumes.js';
import { checkDestination } from '../destination/open-destination.js';
import { withLvmPriority, withUsualPriority } from '../host/priority.js';
import { fullName } from '../lvm/unfit-volume.js';
import { sendTo } from '../remote/send.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import { checkWatch, reportLateFault } from '../source/quiet-check.js';
import type { Source } from '../source/source.js';
import { guardStores } from '../source/store-guard.js';

export interface Circumstances {
  readonly origin: CycleOrigin;
  readonly tag: string;
  readonly turn: Turn;
  readonly snapshots: readonly CycleSnapshot[];
  readonly stores: readonly CycleStore[];
  readonly command: CycleCommand;
  readonly context: RunContext;
}

export function realEffects(circumstances: Circumstances): TurnEffects {
  const { tag, context } = circumstances;
  const { reporter } = context;
  return {
    make: () => make(circumstances),
    mend: (base) => send({ base, next: base, compareFrom: base }, circumstances),
    send: async ({ base, compare }, next) => {
      try {
        const step = { base, next, ...(compare && { compareFrom: compare.from ?? null }) };
        await send(step, circumstances);
      } catch (error) {
        throw await leaveOrRemove(
          error,
          { next, tag, snapshots: circumstances.snapshots },
          reporter,
        );
      }
      if (base !== undefined) await remember({ base, next }, circumstances);
    },
    remove: async (snapshot) => {
      try {
        await withLvmPriority(() => removeSnapshot(snapshot, tag));
        reporter.verbose(`removed ${describeSnapshot(snapshot)}`);
      } catch (error) {
        if (!(error instanceof LvmsyncError)) throw error;
        // It harms nobody but takes room; whether there is enough the next snapshot will tell.
        reporter.warn(
          `${fullName(snapshot)} is no longer needed, but could not be removed: ${error.message}`,
        );
      }
    },
  };
}

/** A run is as good without it: the next snapshot knows nearly as much since it was made. */
async function remember(
  step: { readonly base: CycleSnapshot; readonly next: CycleSnapshot },
  circumstances: Circumstances,
): Promise<void> {
  if (circumstances.origin.kind === 'thin') return;
  try {
    await withLvmPriority(() => rememberUse(step, circumstances));
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    circumstances.context.reporter.verbose(
      `${fullName(step.next)}: its tag was not updated: ${error.message}`,
    );
  }
}

/** Each is tried in a second of its own: two chains of one volume may take their turns at once. */
const MOST_ATTEMPTS = 3;

async function make(circumstances: Circumstances): Promise<CycleSnapshot> {
  const { origin, tag, snapshots, command, context } = circumstances;
  const { hooks } = command;
  const { size, uses, chosen } = await sizeOfNext(circumstances, { isRehearsed: false });
  if (chosen?.warning !== undefined) context.reporter.warn(chosen.warning);
  else if (chosen !== undefined) {
    context.reporter.verbose(`--size auto: ${humanSize(chosen.bytes)}: ${chosen.why}`);
  }
  let former = snapshots.at(-1)?.time;
  for (let attempt = 1; ; attempt++) {
    const { time, wait, warning } = timeAfter(former, Date.now());
    if (warning !== undefined && attempt === 1) context.reporter.warn(warning);
    if (wait > 0) await sleep(wait);
    if (context.signal.aborted) throw interrupted(context.signal, { state: 'Nothing was sent.' });
    try {
      const request = { origin, tag, size, uses, hooks, signal: context.signal, time };
      // Whoever is frozen waits for all of it.
      const hurried = isHooked(hooks) ? withUsualPriority : withLvmPriority;
      const made = await hurried(() => makeSnapshot(request));
      context.reporter.verbose(`made ${describeSnapshot(made)}`);
      return made;
    } catch (error) {
      if (context.signal.aborted) throw interrupted(context.signal, { state: 'Nothing was sent.' });
      if (!isNameTaken(error) || attempt === MOST_ATTEMPTS) throw error;
      former = time;
    }
  }
}

interface Step {
  readonly base: CycleSnapshot | undefined;
  readonly next: CycleSnapshot;
  /** Everything is compared; the step leads from that point, null: the chain begins. */
  readonly compareFrom?: Point | null;
}

async function send(step: Step, circumstances: Circumstances): Promise<void> {
  const { next } = step;
  const { origin, context } = circumstances;
  if (context.signal.aborted) throw interrupted(context.signal, { state: 'Nothing was sent.' });
  if (origin.kind === 'thick') return sendThick(step, circumstances);
  await withLvmPriority(() => activate(next));
  try {
    await sendActive(step, circumstances);
  } finally {
    await withLvmPriority(() => deactivate(next)).catch((error: unknown) => {
      if (!(error instanceof LvmsyncError)) throw error;
      context.reporter.warn(`${fullName(next)} could not be deactivated: ${error.message}`);
    });
  }
}

async function sendThick(step: Step, circumstances: Circumstances): Promise<void> {
  try {
    await sendActive(step, circumstances);
  } catch (error) {
    throw await explainOverflow(error, step, circumstances);
  }
}

/** The usual advice for an overflow, a full copy, does not apply to a new snapshot. */
async function explainOverflow(
  error: unknown,
  { next }: Step,
  { origin, tag, command }: Circumstances,
): Promise<unknown> {
  if (!(error instanceof LvmsyncError)) return error;
  if (error.code !== 'sourceRead' && error.code !== 'sourceUnfit') return error;
  const snapshots = await listSnapshots(origin, tag).catch(() => []);
  if (snapshots.find(({ uuid }) => uuid === next.uuid)?.state !== 'lost') return error;
  const { destination, chain, remote } = command;
  const isPulled = remote.joined !== undefined;
  const fault = describeOverflow(next, { destination, chain, isFirst: chain.init, isPulled });
  return error.state === undefined ? fault : withContext(fault, { state: error.state });
}

async function sendActive(step: Step, { origin, command, context }: Circumstances): Promise<void> {
  const { reporter } = context;
  const { requireQuiet } = command;
  const { compareFrom } = step;
  const points = { ...step, originUuid: origin.uuid };
  const source =
    compareFrom === undefined
      ? await openTurn(points, context)
      : await openCompared({ ...points, from: compareFrom ?? undefined }, context);
  const compare = compareFrom === undefined ? undefined : command.compare;
  const request = { ...command, compare };
  try {
    await checkPlace(source, command, context);
    checkWatch(source.watch, { requireQuiet, reporter });
    const guard = { source, maxPercent: command.maxCowUse, context };
    await guardStores(guard, (guarded) => sendTo(source, request, guarded));
    await reportLateFault(source, reporter);
  } finally {
    await source.close();
  }
}

/** A check that a receiver of this machine cannot do: how its destination is related to the source. */
export async function checkPlace(
  { members, headKinds: ofSource }: Source,
  { destination: { host, path }, force, chain }: CycleCommand,
  { commandLine, reporter }: RunContext,
): Promise<void> {
  if (host !== undefined) return;
  const headKinds = [...ofSource, ...(await sourceKinds(chain.directory))];
  await checkDestination({ path, members, force, command: commandLine, headKinds }, reporter);
}

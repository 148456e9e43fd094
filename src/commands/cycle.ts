/** `lvmsync cycle VG/LV DESTINATION --snapback DIR`: one turn of a chain of consistent copies. */

import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, LvmsyncError, withContext } from '../base/errors.js';
import { localTime } from '../base/local-time.js';
import { humanSize } from '../base/text.js';
import type { CycleCommand } from '../cli/command.js';
import { askChain } from '../cycle/ask-chain.js';
import { askWarning } from '../cycle/fill-warning.js';
import { leaveOrRemove } from '../cycle/leave-or-remove.js';
import { sizeOfNext } from '../cycle/next-size.js';
import { checkCycleFree, lockCycle, tagOf } from '../cycle/own-lock.js';
import { refuseOwnStorage } from '../cycle/own-storage.js';
import { planTurn, type Refusal, type Turn, type TurnEffects, takeTurn } from '../cycle/plan.js';
import { describeOverflow, describeRefusal } from '../cycle/refusal.js';
import {
  activate,
  deactivate,
  isHooked,
  isNameTaken,
  makeSnapshot,
  removeSnapshot,
  timeAfter,
} from '../cycle/snapshots.js';
import { type CycleStore, readCycleStores, rememberUse } from '../cycle/stores.js';
import { openTurn } from '../cycle/turn-source.js';
import {
  type CycleOrigin,
  type CycleSnapshot,
  describeSnapshot,
  findBaseElsewhere,
  findCycleOf,
  findOrigin,
  listSnapshots,
} from '../cycle/volumes.js';
import { checkDestination } from '../destination/open-destination.js';
import { headKindsOf } from '../device/head-kind.js';
import { selectEngine } from '../device/select-engine.js';
import { withLvmPriority, withUsualPriority } from '../host/priority.js';
import { fullName } from '../lvm/unfit-volume.js';
import { placeName } from '../remote/destination-name.js';
import { sendTo } from '../remote/send.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import { checkWatch, reportLateFault } from '../source/quiet-check.js';
import type { Source } from '../source/source.js';
import { guardStores } from '../source/store-guard.js';

export async function runCycle(command: CycleCommand, context: RunContext): Promise<number> {
  selectEngine(context);
  if (command.hooks.freeze && !command.hooks.thaw) context.reporter.warn(NO_THAW);
  const origin = await findOrigin(command.origin);
  checkSize(origin, command);
  if (command.destination.host === undefined) {
    const { force } = command;
    refuseOwnStorage(command.chain.directory, origin, { force, reporter: context.reporter });
  }
  const tag = tagOf(command);
  const lock = command.dryRun ? checkCycleFree(origin, tag) : await lockCycle(origin, tag, context);
  try {
    const stores = await readCycleStores(origin, tag);
    const watched = { origin, stores, command, context };
    const chain = await askWarning(watched, () => askChain(command, origin, context));
    const snapshots = await listSnapshots(origin, tag);
    const { init } = command.chain;
    const plan = planTurn({ snapshots, chain, init, force: command.force });
    if (plan.kind === 'refused') {
      const refusal = await findBase(plan.refusal, origin, tag);
      throw describeRefusal(refusal, origin, command);
    }
    if (command.dryRun) {
      const checkTarget = (source: Source): Promise<void> => checkPlace(source, command, context);
      const dryCycle = { turn: plan.turn, snapshots, stores, origin, tag, command, context };
      const { reportTurn } = await import('./dry-cycle.js');
      await reportTurn({ ...dryCycle, checkPlace: checkTarget });
      return EXIT.done;
    }
    reportPlan(plan.turn, command, context);
    const { turn } = plan;
    const effects = realEffects({ origin, tag, turn, snapshots, stores, command, context });
    const held = await takeTurn(turn, effects);
    context.reporter.info(
      `${placeName(command.destination)} now matches the origin as of ${localTime(held.time)}`,
    );
    return EXIT.done;
  } finally {
    lock.release();
  }
}

const NO_THAW =
  '--freeze-cmd without --thaw-cmd: nothing ends what that command begins; if there is nothing to end, add --thaw-cmd true';

/** A thin snapshot takes its room from the pool, a thick one has to be given it. */
function checkSize({ kind, ...volume }: CycleOrigin, { size }: CycleCommand): void {
  const name = fullName(volume);
  if (kind === 'thin' && size !== undefined) {
    throw new LvmsyncError(
      'usage',
      `${name}: --size is only for thick volumes: a thin snapshot takes its room from the pool`,
    );
  }
  if (kind === 'thick' && size === undefined) {
    throw new LvmsyncError('usage', `${name}: a thick volume: its snapshots need --size`, {
      hint: 'Use --size auto, or allow for everything that is written during two cycle intervals, such as --size 20%.',
    });
  }
}

/** A snapshot that seems to be gone may have the tag of another spelling of the same place, or another origin. */
async function findBase(refusal: Refusal, origin: CycleOrigin, tag: string): Promise<Refusal> {
  if (refusal.why !== 'baseGone') return refusal;
  const { uuid } = refusal.point;
  const former = await findCycleOf(uuid, origin);
  const base = former?.snapshots.find((one) => one.uuid === uuid);
  if (former && base) return { why: 'otherSpelling', base, former, tag };
  const elsewhere = await findBaseElsewhere(uuid, origin);
  return elsewhere === undefined ? refusal : { why: 'otherOrigin', base: elsewhere };
}

function reportPlan({ base, next }: Turn, command: CycleCommand, { reporter }: RunContext): void {
  const place = placeName(command.destination);
  if (base === undefined) reporter.info(`Starting the history of ${place}: everything is sent.`);
  else reporter.verbose(`${place} holds ${describeSnapshot(base)}`);
  if (next !== undefined) {
    reporter.info(`Continuing with ${describeSnapshot(next)}, left by an interrupted cycle run.`);
  }
}

interface Circumstances {
  readonly origin: CycleOrigin;
  readonly tag: string;
  readonly turn: Turn;
  readonly snapshots: readonly CycleSnapshot[];
  readonly stores: readonly CycleStore[];
  readonly command: CycleCommand;
  readonly context: RunContext;
}

function realEffects(circumstances: Circumstances): TurnEffects {
  const { tag, context } = circumstances;
  const { reporter } = context;
  return {
    make: () => make(circumstances),
    send: async (base, next) => {
      try {
        await send({ base, next }, circumstances);
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
}

async function send({ base, next }: Step, circumstances: Circumstances): Promise<void> {
  const { origin, context } = circumstances;
  if (context.signal.aborted) throw interrupted(context.signal, { state: 'Nothing was sent.' });
  if (origin.kind === 'thick') return sendThick({ base, next }, circumstances);
  await withLvmPriority(() => activate(next));
  try {
    await sendActive({ base, next }, circumstances);
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
  { base, next }: Step,
  { origin, tag, command }: Circumstances,
): Promise<unknown> {
  if (!(error instanceof LvmsyncError)) return error;
  if (error.code !== 'sourceRead' && error.code !== 'sourceUnfit') return error;
  const snapshots = await listSnapshots(origin, tag).catch(() => []);
  if (snapshots.find(({ uuid }) => uuid === next.uuid)?.state !== 'lost') return error;
  const { destination, chain } = command;
  const fault = describeOverflow(next, { destination, chain, isFirst: base === undefined });
  return error.state === undefined ? fault : withContext(fault, { state: error.state });
}

async function sendActive(step: Step, { origin, command, context }: Circumstances): Promise<void> {
  const { reporter } = context;
  const { requireQuiet } = command;
  const source = await openTurn({ ...step, originUuid: origin.uuid }, context);
  try {
    await checkPlace(source, command, context);
    checkWatch(source.watch, { requireQuiet, reporter });
    const guard = { source, maxPercent: command.maxCowUse, context };
    await guardStores(guard, (guarded) => sendTo(source, command, guarded));
    await reportLateFault(source, reporter);
  } finally {
    await source.close();
  }
}

/** A check that a receiver of this machine cannot do: how its destination is related to the source. */
async function checkPlace(
  { members, device }: Source,
  { destination: { host, path }, force }: CycleCommand,
  { commandLine, reporter }: RunContext,
): Promise<void> {
  if (host !== undefined) return;
  const headKinds = await headKindsOf(device);
  await checkDestination({ path, members, force, command: commandLine, headKinds }, reporter);
}

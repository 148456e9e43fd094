/** `lvmsync cycle VG/LV DESTINATION --snapback DIR`: one turn of a chain of consistent copies. */

import { EXIT, LvmsyncError } from '../base/errors.js';
import { localTime } from '../base/local-time.js';
import type { CycleCommand } from '../cli/command.js';
import { askChain } from '../cycle/ask-chain.js';
import { checkCycleFree, lockCycle, tagOf } from '../cycle/cycle-lock.js';
import { askWarning } from '../cycle/fill-warning.js';
import { refuseOwnStorage } from '../cycle/own-storage.js';
import { planTurn, type Refusal, type Turn, takeTurn } from '../cycle/plan.js';
import { describeRefusal } from '../cycle/refusal.js';
import { readCycleStores } from '../cycle/stores.js';
import {
  type CycleOrigin,
  type CycleSnapshot,
  describeSnapshot,
  findBaseElsewhere,
  findCycleOf,
  findOrigin,
  listSnapshots,
} from '../cycle/volumes.js';
import { selectEngine } from '../device/select-engine.js';
import { fullName } from '../lvm/unfit-volume.js';
import { placeName } from '../remote/destination-name.js';
import type { RunContext } from '../run/context.js';
import type { Source } from '../source/source.js';
import { checkPlace, realEffects } from './cycle-turn.js';

export async function runCycle(command: CycleCommand, context: RunContext): Promise<number> {
  selectEngine(context);
  warnOfHooks(command, context);
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
    const { force, compare } = command;
    const plan = planTurn({ snapshots, chain, init, force, compare });
    if (plan.kind === 'refused') {
      const refusal = await findBase(plan.refusal, origin, tag);
      throw describeRefusal(refusal, origin, command);
    }
    await refuseOtherCopy(plan.turn, origin, { tag, snapshots, command });
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

export function warnOfHooks({ hooks }: CycleCommand, { reporter }: RunContext): void {
  if (hooks.freeze && !hooks.thaw) reporter.warn(NO_THAW);
}

/** A thin snapshot takes its room from the pool, a thick one has to be given it. */
export function checkSize({ kind, ...volume }: CycleOrigin, { size }: CycleCommand): void {
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

/** A comparison overwrites the copy of any volume: it must not be one whose snapshot is there. */
async function refuseOtherCopy(
  { compare }: Turn,
  origin: CycleOrigin,
  {
    tag,
    snapshots,
    command,
  }: {
    readonly tag: string;
    readonly snapshots: readonly CycleSnapshot[];
    readonly command: CycleCommand;
  },
): Promise<void> {
  const point = compare?.from;
  if (point === undefined || command.force) return;
  if (snapshots.some(({ uuid }) => uuid === point.uuid)) return;
  const refusal = await findBase({ why: 'baseGone', point }, origin, tag);
  if (refusal.why !== 'baseGone') throw describeRefusal(refusal, origin, command);
}

function reportPlan(turn: Turn, command: CycleCommand, { reporter }: RunContext): void {
  const { mend, base, next, compare } = turn;
  const place = placeName(command.destination);
  if (mend !== undefined) {
    reporter.info(
      `${place} may not match its restore point: comparing it with ${describeSnapshot(mend)} first.`,
    );
  }
  if (compare !== undefined) {
    reporter.info(
      compare.from === undefined
        ? `Starting the history of ${place}: the whole volume and the whole copy are compared.`
        : `There is no list of changes since ${localTime(compare.from.time)}: the whole volume and the whole copy are compared.`,
    );
  } else if (base === undefined)
    reporter.info(`Starting the history of ${place}: everything is sent.`);
  else reporter.verbose(`${place} holds ${describeSnapshot(base)}`);
  if (next !== undefined) {
    reporter.info(`Continuing with ${describeSnapshot(next)}, left by an interrupted cycle run.`);
  }
}

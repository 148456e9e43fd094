/** `lvmsync cycle --dry-run`: which turn would be taken, and whether it would begin. Nothing is written. */

import { localTime } from '../base/local-time.js';
import { humanSize } from '../base/text.js';
import type { CycleCommand } from '../cli/command.js';
import { type NextSize, sizeOfNext } from '../cycle/next-size.js';
import type { Turn } from '../cycle/plan.js';
import { timeAfter, tryMakingSnapshot } from '../cycle/snapshots.js';
import type { CycleStore } from '../cycle/stores.js';
import { type CycleOrigin, type CycleSnapshot, describeSnapshot } from '../cycle/volumes.js';
import { NO_EXTENTS } from '../device/extent.js';
import { findSnapshot } from '../lvm/find-volume.js';
import { fullName } from '../lvm/unfit-volume.js';
import { askReceiver } from '../remote/ask-receiver.js';
import { placeName } from '../remote/destination-name.js';
import type { RunContext } from '../run/context.js';
import { openSource } from '../source/open-source.js';
import type { Source } from '../source/source.js';
import { guardStores } from '../source/store-guard.js';
import { openWholeThin } from '../source/thin-source.js';
import { openWhole } from '../source/whole-source.js';
import type { HelloAttributes } from '../stream/control-frame.js';
import { rowsOf } from './dry-run.js';
import { formatRows, type Row } from './dry-run-report.js';

export interface DryCycle {
  readonly turn: Turn;
  /** The snapshots of the chain, oldest first. */
  readonly snapshots: readonly CycleSnapshot[];
  readonly stores: readonly CycleStore[];
  readonly origin: CycleOrigin;
  /** The tag of the chain. */
  readonly tag: string;
  readonly command: CycleCommand;
  readonly context: RunContext;
  /** Throws where the destination of this machine must not be written. */
  readonly checkPlace: (source: Source) => Promise<void>;
}

/** Throws what the turn would throw before its first byte. */
export async function reportTurn(dryCycle: DryCycle): Promise<void> {
  const { turn, snapshots, command, context, checkPlace } = dryCycle;
  const { time, warning } = timeAfter(snapshots.at(-1)?.time, Date.now());
  if (warning !== undefined && turn.next === undefined) context.reporter.warn(warning);
  const room = await tryMaking(dryCycle, time);
  const source = await openNow(dryCycle);
  try {
    const guard = { source, maxPercent: command.maxCowUse, context };
    await guardStores(guard, async (guarded) => {
      await checkPlace(source);
      const attributes = { ...source.attributes, ...pointsOf(dryCycle, time) };
      // Nobody knows what a comparison will find.
      const { compare } = turn;
      const totalBytes = compare === undefined ? source.extents.totalBytes : 0;
      const zeros = command.discard && compare === undefined ? source.zeros : NO_EXTENTS;
      const asked = { source: { ...source, attributes }, totalBytes, zeros, command };
      await askReceiver(asked, guarded);
      const sizes = `${humanSize(source.device.size)} at both ends; then the run sends what differs`;
      const sent: Row[] =
        compare === undefined ? await rowsOf(source, command, guarded) : [['compare', sizes]];
      const rows = [...turnRows(turn), ...sizeRows(room), ...sent];
      const place = placeName(command.destination);
      const may: Row = ['destination', `${place} can be written`];
      const heading = `Dry run: a cycle run from ${fullName(dryCycle.origin)} to ${place}`;
      context.print(formatRows(heading, [...rows, may]));
    });
  } finally {
    await source.close();
  }
}

/**
 * Undefined where no snapshot would be made. Where something is removed first, lvcreate cannot be asked: it would
 * not find the room that this gives back.
 */
async function tryMaking(dryCycle: DryCycle, time: string): Promise<NextSize | undefined> {
  const { turn, origin, tag, context } = dryCycle;
  if (turn.next !== undefined) return undefined;
  const next = await sizeOfNext(dryCycle, { isRehearsed: true });
  if (next.chosen?.warning !== undefined) context.reporter.warn(next.chosen.warning);
  if (turn.removeFirst.length > 0) return next;
  const hooks = { freeze: undefined, thaw: undefined };
  const { signal } = context;
  await tryMakingSnapshot({ origin, tag, size: next.size, hooks, signal, time });
  return next;
}

function sizeRows(next: NextSize | undefined): Row[] {
  if (next?.chosen === undefined) return [];
  const { bytes, why } = next.chosen;
  return [['size', `${humanSize(bytes)} for the new snapshot: ${why}`]];
}

/**
 * The changes by now: the new snapshot would be made of the origin as it is, and one that an interrupted
 * turn left differs from it only by what was written since.
 */
async function openNow({ turn, origin, context }: DryCycle): Promise<Source> {
  const subject = turn.base === undefined ? fullName(origin) : `/dev/${fullName(turn.base)}`;
  const request = { kind: 'snapshot', snapshot: subject, ...NO_OTHER } as const;
  if (turn.base !== undefined) return openSource(request, context);
  if (origin.kind === 'thick') return openWhole(request, context);
  const volume = await findSnapshot(subject);
  return volume.kind === 'thin' ? openWholeThin(volume, context) : openWhole(request, context);
}

const NO_OTHER = { dataSource: undefined, since: undefined };
/** Stands for a snapshot that is not made yet. */
const NOT_YET = '000000-0000-0000-0000-0000-0000-000000';

/** Of the first step: a copy that is made equal to its point again comes from there, and leads there. */
function pointsOf(
  { turn: { mend, base, next, compare }, origin, command }: DryCycle,
  time: string,
): HelloAttributes {
  const from = mend ?? (compare === undefined ? base : compare.from);
  const to = mend ?? next;
  const compared = mend === undefined && compare === undefined ? undefined : command.compare;
  return {
    deviceIdentity: origin.uuid,
    ...(from && { fromPoint: from.uuid, fromTime: from.time }),
    toPoint: to?.uuid ?? NOT_YET,
    toTime: to?.time ?? time,
    ...(compared && { comparison: compared }),
  };
}

function turnRows({ removeFirst, mend, base, next, compare, removeAfter }: Turn): Row[] {
  const name = (snapshot: CycleSnapshot): string => describeSnapshot(snapshot);
  const make = 'a new snapshot; this dry run reads the origin instead';
  return [
    ...removeFirst.map((one): Row => ['remove', `${name(one)}, before anything else`]),
    ...(mend === undefined ? [] : [['first', `make the copy equal to ${name(mend)} again`] as Row]),
    ['from', base === undefined ? fromWhat(compare) : name(base)],
    ['to', next === undefined ? make : `${name(next)}, left by an interrupted cycle run`],
    ...removeAfter.map((one): Row => ['remove', `${name(one)}, at the end`]),
  ];
}

function fromWhat(compare: Turn['compare']): string {
  if (compare === undefined) return 'nothing: this is a full copy';
  if (compare.from === undefined) return 'nothing: a history starts on what is there';
  return `${localTime(compare.from.time)}; there is no list of changes since then`;
}

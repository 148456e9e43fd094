/** What a chain holds, reaches and lacks, and whether a device is its copy. Nothing is changed. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LvmsyncError } from '../base/errors.js';
import { localTime } from '../base/local-time.js';
import { RegisteredCopy } from '../chain/copy-registry.js';
import { doubtOf, inexactDoubt, knownIn } from '../chain/copy-verdict.js';
import { describeDestination, destinationMismatch, readChain } from '../chain/directory.js';
import { findLeftover, type LeftoverFiles } from '../chain/leftover.js';
import { findLost, type Link } from '../chain/link.js';
import { type ChainOrder, orderChain } from '../chain/order.js';
import { type ChainRecord, isGoingBack, readRecord } from '../chain/record.js';
import { spotsDiffer } from '../chain/spot-check.js';
import { requireRoomToBegin } from '../chain/turn-checks.js';
import { otherChain } from '../chain/turn-doubts.js';
import { readRedoLinks } from '../chain/undone.js';
import type { ChainCommand } from '../cli/command.js';
import { refuseSourceOfCycle } from '../cycle/source-of-cycle.js';
import { openSeen } from '../destination/first-look.js';
import { SIZE_OF_VOLUME } from '../destination/missing.js';
import type { FileDevice } from '../device/block-device.js';
import { writeMark } from '../device/write-mark.js';

type Surveyed = Pick<ChainCommand, 'directory' | 'destination'>;

export interface Survey {
  readonly directory: string;
  readonly record: ChainRecord | undefined;
  readonly order: ChainOrder<Link>;
  /** Names of files. */
  readonly others: readonly string[];
  /** Why the next turn, or a rollback, would not take the destination that was named. */
  readonly mismatch: Mismatch | undefined;
  /** Why the last rollback cannot be taken back. */
  readonly redoGap: string | undefined;
  readonly leftover: LeftoverFiles;
}

/** A run that changes the chain meanwhile would make it look damaged. */
const MOST_SURVEYS = 5;

/** Throws as readChain does. */
export async function surveyChain(command: Surveyed): Promise<Survey> {
  for (let attempt = 1; ; attempt++) {
    const before = recordText(command.directory);
    const survey = await surveyOnce(command);
    if (attempt === MOST_SURVEYS || recordText(command.directory) === before) return survey;
  }
}

/** Undefined for what cannot be read: the survey says why. */
function recordText(directory: string): string | undefined {
  try {
    return JSON.stringify(readRecord(directory) ?? null);
  } catch {
    return undefined;
  }
}

async function surveyOnce({ directory, destination }: Surveyed): Promise<Survey> {
  const { record, files } = await readChain(directory);
  const { links, others } = files;
  const order = orderChain(record ?? NO_CHAIN, links);
  const mismatch =
    destination === undefined ? undefined : await mismatchOf(record, destination, directory);
  const redoGap = record && (await redoGapOf(directory, record));
  const leftover = await findLeftover(directory, record ?? { last: null });
  return { directory, record, order, others, mismatch, redoGap, leftover };
}

/** Undefined also where there is nothing to take back. */
async function redoGapOf(
  directory: string,
  { doing, undone: last }: ChainRecord,
): Promise<string | undefined> {
  const undone = isGoingBack(doing) ? doing : last;
  if (undone === null) return undefined;
  const folder = join(directory, undone.folder);
  if (!existsSync(folder)) return `${undone.folder} is missing`;
  const { walked, missing } = await readRedoLinks(folder, undone);
  return missing ?? findLost(walked).find(({ lost }) => lost !== undefined)?.lost;
}

const NO_CHAIN = { point: null, last: null, pruned: null, doing: null };

export interface Mismatch {
  readonly why: string;
  /** The next step for the user. */
  readonly remedy: string | undefined;
  /** It is the copy of the chain, but something else wrote to it. */
  readonly written?: boolean;
}

export const CHECK_NAME = 'Is it the right destination?';

async function mismatchOf(
  record: ChainRecord | undefined,
  path: string,
  directory: string,
): Promise<Mismatch | undefined> {
  try {
    // The first turn makes the chain, and may have to make the destination, too.
    const ifMissing = record === undefined ? 'make' : 'find';
    const device = await openSeen({ path, ifMissing, size: SIZE_OF_VOLUME });
    try {
      const { entry } = await RegisteredCopy.find(device);
      if (record === undefined) {
        return otherChain(entry, directory) ?? (await whyNotBegin(device, directory));
      }
      const actual = await describeDestination(device);
      const mismatch = destinationMismatch(record, actual);
      if (mismatch !== undefined) {
        return { why: mismatch.what, remedy: mismatch.hint };
      }
      const spots = knownIn(record)?.spots ?? [];
      const now = { mark: writeMark(device), spotsDiffer: await spotsDiffer(device, spots) };
      const doubt = doubtOf(entry, record, { directory, ...now }) ?? inexactDoubt(record);
      return (
        doubt && { why: doubt.why, remedy: doubt.remedy.hint, written: doubt.isTaken !== true }
      );
    } finally {
      await device.close();
    }
  } catch (error) {
    if (error instanceof LvmsyncError)
      return { why: error.message, remedy: error.hint ?? CHECK_NAME };
    throw error;
  }
}

/** The first run would find out only after it made a snapshot. */
async function whyNotBegin(device: FileDevice, directory: string): Promise<Mismatch | undefined> {
  try {
    // What LVM cannot tell, the run itself says.
    await refuseSourceOfCycle(device, { warn: () => undefined });
    if (!existsSync(directory)) requireRoomToBegin(directory);
    return undefined;
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    return { why: error.message, remedy: error.hint };
  }
}

/** In words. */
export function whatItHolds({ point, doing, undone }: ChainRecord): string {
  const holds = point === null ? 'no restore point' : `${localTime(point.time)} (${point.uuid})`;
  switch (doing?.what) {
    case undefined:
      return undone === null ? holds : `${holds}, after a rollback that --redo undoes`;
    case 'init':
      return `${holds}: the full copy of ${localTime(doing.to.time)} is not finished`;
    case 'turn':
      return `${holds}, and a part of ${localTime(doing.to.time)}: that cycle run is not finished`;
    case 'mend':
      return `${holds} in part: it is being made equal to that restore point again, which is not finished`;
    case 'rollback':
      return `${holds} in part: a rollback to ${localTime(doing.to.time)} is not finished`;
    case 'redo':
      return `${holds} in part: a rollback --redo is not finished`;
  }
}

/** Likewise. */
export function howFarBack({ turns, gap }: ChainOrder): string {
  const steps = turns.length === 1 ? '1 step' : `${turns.length} steps`;
  if (gap === undefined) return `${steps} back`;
  const mend = gap.includes(' is missing')
    ? '; if that file was moved or damaged, put a good copy in its place'
    : '';
  return `${steps} back, and no further: ${gap}${mend}`;
}

/** What speaks against a turn of a chain before anything is written: the step, the destination, and what else wrote to it. */

import { accessSync, constants } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import type { FileDevice } from '../device/block-device.js';
import type { Reporter } from '../run/reporter.js';
import type { StreamPosition } from '../stream/control-frame.js';
import type { CopyOwner } from './copy-owner.js';
import { describeDestination, unusable } from './directory.js';
import type { ChainRequest } from './keep.js';
import { type ChainDestination, type ChainRecord, readRecord } from './record.js';
import { isMend, type Step, whyNot } from './step.js';
import { type Doubts, findDoubts } from './turn-doubts.js';

export interface TurnFacts {
  readonly step: Step;
  /** LVM's uuid of the volume that is copied. */
  readonly source: string | undefined;
  /** What a copy of it may begin with, see head-kind. */
  readonly headKinds: readonly string[];
  readonly device: FileDevice;
  readonly owner: CopyOwner;
  readonly reporter: Pick<Reporter, 'warn'>;
  readonly force: boolean;
  /** Which of several streams this is; undefined for a single one. */
  readonly place?: StreamPosition | undefined;
}

export interface CheckedTurn
  extends Pick<TurnFacts, 'step' | 'source' | 'headKinds' | 'owner' | 'place'> {
  readonly former: ChainRecord | undefined;
  readonly destination: ChainDestination;
  readonly doubts: Doubts;
}

/** Throws (destinationUnfit) if the stream or the device does not belong to the chain. */
export async function checkTurn(request: ChainRequest, about: TurnFacts): Promise<CheckedTurn> {
  const { directory, init } = request;
  const record = readRecord(directory);
  requireStep(request, about, record);
  const destination = await describeDestination(about.device);
  const { owner, step, source, headKinds, place } = about;
  const isTold = place !== undefined && place.streamIndex > 1;
  const question = { ...about, record, directory, init, destination, path: about.device.path };
  const doubts = await findDoubts({ ...question, isTold });
  return {
    step,
    source,
    headKinds,
    owner,
    place,
    former: record,
    destination: begunOn(step, destination, record),
    doubts,
  };
}

/** A file that an attempt made longer gets its former size from a mend. */
function begunOn(
  step: Step,
  destination: ChainDestination,
  former: ChainRecord | undefined,
): ChainDestination {
  const { size = destination.size } = former?.destination ?? {};
  const isLonger = destination.identity === null && destination.size > size;
  return isMend(step) && isLonger ? { ...destination, size } : destination;
}

/** Of a chain that is to be made. Throws (snapback). */
export function requireRoomToBegin(directory: string): void {
  try {
    accessSync(dirname(resolve(directory)), constants.W_OK);
  } catch (cause) {
    throw unusable(directory, cause);
  }
}

/** Throws (destinationUnfit). */
export function requireStep(
  { directory, init, fetched }: ChainRequest,
  { step, device, force }: TurnFacts,
  record: ChainRecord | undefined,
): void {
  const isFetched = fetched !== undefined;
  const refusal = whyNot({ step, record, init, force, isFetched });
  if (refusal === undefined) return;
  const { what, rollback } = refusal;
  const place = [device.path, directory].map((path) => typedPath(path, undefined)).join(' ');
  const command = rollback === undefined ? '' : ` lvmsync rollback ${rollback} ${place}`;
  const hint = refusal.hint && refusal.hint + command;
  throw new LvmsyncError('destinationUnfit', what, { ...UNTOUCHED, ...(hint && { hint }) });
}

/** What speaks against a turn of a chain before anything is written: the step, the destination, and what else wrote to it. */

import { accessSync, constants } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import type { FileDevice } from '../device/block-device.js';
import { checkUnlessForced } from '../run/forced.js';
import type { Reporter } from '../run/reporter.js';
import type { StreamPosition } from '../stream/control-frame.js';
import type { CopyOwner } from './copy-owner.js';
import {
  describeDestination,
  destinationMismatch,
  refuseMismatch,
  refuseOtherSource,
  unusable,
} from './directory.js';
import type { ChainRequest } from './keep.js';
import { refuseOtherChain } from './other-chain.js';
import { type ChainDestination, type ChainRecord, readRecord } from './record.js';
import { type Step, whyNot } from './step.js';

export interface TurnFacts {
  readonly step: Step;
  /** LVM's uuid of the volume that is copied. */
  readonly source: string | undefined;
  readonly device: FileDevice;
  readonly owner: CopyOwner;
  readonly reporter: Pick<Reporter, 'warn'>;
  readonly force: boolean;
  /** Which of several streams this is; undefined for a single one. */
  readonly place?: StreamPosition | undefined;
}

export interface CheckedTurn extends Pick<TurnFacts, 'step' | 'source' | 'owner' | 'place'> {
  readonly former: ChainRecord | undefined;
  readonly destination: ChainDestination;
  /** By something that is not of the chain, or nobody can say which device it was. */
  readonly wasWritten: boolean;
}

/** Throws (destinationUnfit) if the stream or the device does not belong to the chain. */
export async function checkTurn(request: ChainRequest, about: TurnFacts): Promise<CheckedTurn> {
  const { directory, init } = request;
  const record = readRecord(directory);
  requireStep(request, about, record);
  const destination = await describeDestination(about.device);
  const { owner, force, step, source, place } = about;
  let wasWritten = false;
  if (record !== undefined && !init) {
    await checkUnlessForced(about, () => {
      refuseMismatch(record, destination);
      if (step.compared) refuseOtherSource(record, { source, path: about.device.path });
    });
    wasWritten = await owner.requireOwn(record, directory, {
      force,
      anyway: step.compared === 'any',
      isTold: place !== undefined && place.streamIndex > 1,
    });
    if (force) wasWritten ||= destinationMismatch(record, destination) !== undefined;
  } else {
    if (!force) refuseOtherChain({ entry: owner.entry, path: about.device.path }, directory);
    owner.warnOfChain(directory);
  }
  return { step, source, owner, place, former: record, destination, wasWritten };
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
  { directory, init }: ChainRequest,
  { step, device, force }: TurnFacts,
  record: ChainRecord | undefined,
): void {
  const refusal = whyNot({ step, record, init, force });
  if (refusal === undefined) return;
  const { what, rollback } = refusal;
  const place = [device.path, directory].map((path) => typedPath(path, undefined)).join(' ');
  const command = rollback === undefined ? '' : ` lvmsync rollback ${rollback} ${place}`;
  const hint = refusal.hint && refusal.hint + command;
  throw new LvmsyncError('destinationUnfit', what, { ...UNTOUCHED, ...(hint && { hint }) });
}

/** The snapback of a rollback itself: what the rollback overwrites, and with what it is taken back. */

import { join } from 'node:path';
import type { LvmsyncError } from '../base/errors.js';
import type { FileDevice } from '../device/block-device.js';
import { Snapback } from '../pipeline/snapback.js';
import { checkSnapback, type Saved, type SnapbackTarget } from '../pipeline/snapback-file.js';
import type { Reporter } from '../run/reporter.js';
import type { HelloAttributes } from '../stream/control-frame.js';
import { deviceAttributes } from '../stream/device-facts.js';
import { describeDestination, requireWritable } from './directory.js';
import type { Link } from './link.js';
import type { Undone } from './record.js';
import type { RollbackPlan } from './rollback-plan.js';
import { readSaved } from './saved.js';
import { sizeNeeded } from './undo-links.js';
import { readRedoLinks, redoPath, removeUndoneFolder } from './undone.js';

export interface RedoFacts {
  /** The directory of the chain. */
  readonly directory: string;
  readonly device: FileDevice;
  readonly plan: RollbackPlan<Link>;
  /** A rollback that was cut off, which this one finishes. */
  readonly begun: Undone | undefined;
  /** Bytes of the device that will be overwritten; undefined: whether there is room is not asked. */
  readonly roomFor: number | undefined;
  readonly signal: AbortSignal;
  readonly reporter: Pick<Reporter, 'warn'>;
}

/** In the folder of that name. One that cannot be made leaves no folder that nothing names. */
export async function createRedo(facts: RedoFacts, folder: string): Promise<Snapback> {
  const path = join(facts.directory, folder);
  try {
    return await Snapback.create({
      ...(await placeIn(path, facts)),
      facts: await helloFacts(facts),
      sorted: false,
      signal: facts.signal,
    });
  } catch (error) {
    if (facts.begun === undefined) removeUndoneFolder(path);
    throw error;
  }
}

/** Throws (snapback) where a rollback could not make its folder, its record or its snapback. */
export async function checkRedo(facts: RedoFacts): Promise<void> {
  const { directory, begun } = facts;
  requireWritable(directory);
  // A folder to be made will have the room that there is beside it.
  const folder = begun === undefined ? directory : join(directory, begun.folder);
  checkSnapback(await placeIn(folder, facts));
}

async function placeIn(folder: string, facts: RedoFacts): Promise<SnapbackTarget> {
  const { device, roomFor } = facts;
  const inUse = [{ identity: device.identity, role: 'the destination' }];
  const saved = await savedBefore(facts);
  return { path: redoPath(folder), overwrite: false, inUse, roomFor, saved };
}

/** By the runs of this rollback that were cut off: what takes it back writes theirs last. */
async function savedBefore(facts: RedoFacts): Promise<Saved | undefined> {
  const { directory, device, begun, signal, reporter } = facts;
  if (begun === undefined) return undefined;
  const { walked, missing } = await readRedoLinks(join(directory, begun.folder), begun);
  if (missing !== undefined) return undefined;
  const onLost = ({ message }: LvmsyncError): void =>
    reporter.warn(`${message}: it will not be possible to undo this rollback`);
  const destination = await describeDestination(device);
  return readSaved(walked, { device, destination, signal, onLost });
}

async function helloFacts({
  device,
  plan: { from, to, links },
  begun,
}: RedoFacts): Promise<{ readonly deviceSize: number; readonly attributes: HelloAttributes }> {
  const deviceSize = sizeNeeded(links, device);
  const attributes = {
    ...(await deviceAttributes(device)),
    ...(deviceSize > device.size && { formerSize: String(device.size) }),
    fromPoint: from.uuid,
    fromTime: from.time,
    toPoint: to.uuid,
    toTime: to.time,
    ...(begun && { previousLink: begun.redo }),
  };
  return { deviceSize, attributes };
}

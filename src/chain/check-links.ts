/** Looks through the links that a rollback will apply: each of its device, whole, every hash right. */

import { LvmsyncError, UNTOUCHED, withContext } from '../base/errors.js';
import { exactSize } from '../base/text.js';
import type { FileDevice } from '../device/block-device.js';
import { bytesOf } from '../device/operations.js';
import { native } from '../host/native.js';
import { addPlaces } from '../pipeline/places.js';
import { interrupted } from '../run/interruption.js';
import type { Group } from '../stream/change-stream.js';
import { mayBeUnnamed } from '../stream/device-facts.js';
import { type InspectOptions, inspectFile } from '../stream/inspection.js';
import { lostEnd } from '../stream/lost-end.js';
import { countedParts, type Link } from './link.js';
import type { ChainDestination } from './record.js';

export interface LinkCheck {
  /** As it is now. */
  readonly destination: ChainDestination;
  readonly device: FileDevice;
  /** Also those of another device. */
  readonly force: boolean;
  /** Whether its run finished: then it must be complete, too. */
  readonly isComplete: (link: Link) => boolean;
  /** Called after each, with the bytes of files read so far. */
  readonly onProgress: (doneBytes: number) => void;
  readonly signal: AbortSignal;
}

export interface LinkWrites {
  /** The sum over all of them. */
  readonly bytes: number;
  /** On the device: bytes that several of them write count once. */
  readonly distinctBytes: number;
}

/**
 * Resolves with what they will write, the newest first. Throws (streamCorrupt, streamTruncated) for one
 * that is damaged, or does not hold what a newer one counts on, (destinationUnfit) for one of another device.
 */
export async function checkLinks(links: readonly Link[], check: LinkCheck): Promise<LinkWrites> {
  if (!check.force) for (const link of links) refuseOtherDevice(link, check);
  const places = new native.ExtentSet();
  let distinctBytes = 0;
  const onGroup = ({ operations }: Group): void => {
    distinctBytes += bytesOf(addPlaces(places, operations));
  };
  let bytes = 0;
  let readBytes = 0;
  for (const [index, link] of links.entries()) {
    requireCounted(link, links.slice(index + 1));
    const countedBy = countedParts(links.slice(0, index));
    bytes += await checkContent(link, check, { onGroup, countedBy });
    readBytes += link.fileSize;
    check.onProgress(readBytes);
  }
  return { bytes, distinctBytes };
}

function refuseOtherDevice({ path, hello }: Link, { destination, device }: LinkCheck): void {
  const refuse = (what: string): never => {
    throw new LvmsyncError('destinationUnfit', `${path}: ${what}`, UNTOUCHED);
  };
  const { deviceIdentity, devicePath = 'another device' } = hello.attributes;
  const isUnnamed = deviceIdentity === undefined && mayBeUnnamed(destination.identity);
  if (!isUnnamed && deviceIdentity !== destination.identity) {
    const id = deviceIdentity === undefined ? '' : ` (${deviceIdentity})`;
    refuse(
      `this snapback belongs to ${devicePath}${id}, but the chain belongs to ${destination.path}`,
    );
  }
  if (device.info.blockDevice && hello.deviceSize > device.size) {
    refuse(
      `it was made for a device of ${exactSize(hello.deviceSize)}, but this one has ${exactSize(device.size)}`,
    );
  }
}

/** The snapback that it counts on has to be undone after it. */
function requireCounted({ path, counted }: Link, older: readonly Link[]): void {
  if (counted === undefined) return;
  if (older.some(({ streamId }) => streamId === counted.streamId)) return;
  const message = `${path}: it needs another snapback, which is missing (${counted.streamId})`;
  throw new LvmsyncError('streamCorrupt', message, UNTOUCHED);
}

async function checkContent(
  link: Link,
  { isComplete, signal }: LinkCheck,
  options: InspectOptions,
): Promise<number> {
  const mayBeUnused = !isComplete(link);
  const look = inspectFile(link.path, signal, { ...options, mayBeUnused });
  const { fault, tornTail, bytes } = await look.catch((error: unknown) => {
    throw signal.aborted ? interrupted(signal, UNTOUCHED) : error;
  });
  if (signal.aborted) throw interrupted(signal, UNTOUCHED);
  if (fault !== undefined) throw mayBeUnused ? withContext(fault, UNTOUCHED) : damaged(fault);
  if (tornTail === undefined || mayBeUnused) return bytes;
  throw damaged(lostEnd(tornTail));
}

/** Whoever reads the file alone cannot know that its run finished, and may take it for an unused one. */
function damaged(fault: LvmsyncError): LvmsyncError {
  return new LvmsyncError(fault.code, fault.message, {
    ...UNTOUCHED,
    hint: 'Its run finished, so all of it is needed: put an undamaged copy of it in its place. A rollback by fewer steps may do without it.',
    cause: fault,
  });
}

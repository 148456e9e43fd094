/** Looks through the links that a rollback will apply: each of its device, whole, every hash right. */

import type { FileDevice } from './block-device.js';
import { mayBeUnnamed } from './chain-directory.js';
import type { Link } from './chain-link.js';
import type { ChainDestination } from './chain-record.js';
import type { Group } from './change-reader.js';
import { LvmsyncError } from './errors.js';
import { bytesOf } from './extent.js';
import { inspectFile } from './inspect.js';
import { native } from './native.js';
import { interrupted } from './run-context.js';

export interface LinkCheck {
  /** As it is now. */
  readonly destination: ChainDestination;
  readonly device: FileDevice;
  /** Also those of another device. */
  readonly force: boolean;
  /** Whether its run came to its end: then it must, too. */
  readonly isComplete: (link: Link) => boolean;
  /** Called after each, with the bytes of files read so far. */
  readonly onProgress: (doneBytes: number) => void;
  readonly signal: AbortSignal;
}

export interface LinkWrites {
  /** Of all of them together. */
  readonly bytes: number;
  /** Of the device: what several of them write counts once. */
  readonly distinctBytes: number;
}

/**
 * Resolves with what they will write. Throws (streamCorrupt, streamTruncated) for one that is
 * damaged, (destinationUnfit) for one of another device.
 */
export async function checkLinks(links: readonly Link[], check: LinkCheck): Promise<LinkWrites> {
  if (!check.force) for (const link of links) refuseOtherDevice(link, check);
  const places = new native.ExtentSet();
  let distinctBytes = 0;
  const onGroup = ({ operations }: Group): void => {
    distinctBytes += bytesOf(places.add(operations));
  };
  let bytes = 0;
  let readBytes = 0;
  for (const link of links) {
    bytes += await checkContent(link, check, onGroup);
    readBytes += link.fileSize;
    check.onProgress(readBytes);
  }
  return { bytes, distinctBytes };
}

const UNTOUCHED = { state: 'Nothing was written.' };

function refuseOtherDevice({ path, hello }: Link, { destination, device }: LinkCheck): void {
  const refuse = (what: string): never => {
    throw new LvmsyncError('destinationUnfit', `${path}: ${what}`, UNTOUCHED);
  };
  const { deviceIdentity, devicePath = 'another device' } = hello.attributes;
  const isUnnamed = deviceIdentity === undefined && mayBeUnnamed(destination.identity);
  if (!isUnnamed && deviceIdentity !== destination.identity) {
    const id = deviceIdentity === undefined ? '' : ` (${deviceIdentity})`;
    refuse(`this snapback belongs to ${devicePath}${id}, the chain to ${destination.path}`);
  }
  if (device.info.blockDevice && hello.deviceSize > device.size) {
    refuse(`it is of a device of ${hello.deviceSize} bytes, this one holds ${device.size}`);
  }
}

async function checkContent(
  link: Link,
  { isComplete, signal }: LinkCheck,
  onGroup: (group: Group) => void,
): Promise<number> {
  const mayBeUnused = !isComplete(link);
  const looking = inspectFile(link.path, signal, { mayBeUnused, onGroup });
  const { fault, tornTail, bytes } = await looking.catch((error: unknown) => {
    throw signal.aborted ? interrupted(signal, UNTOUCHED) : error;
  });
  if (signal.aborted) throw interrupted(signal, UNTOUCHED);
  if (fault !== undefined) {
    throw new LvmsyncError(fault.code, fault.message, { ...UNTOUCHED, cause: fault });
  }
  if (tornTail === undefined || mayBeUnused) return bytes;
  throw new LvmsyncError(
    'streamTruncated',
    `${tornTail}, and its run had come to its end`,
    UNTOUCHED,
  );
}

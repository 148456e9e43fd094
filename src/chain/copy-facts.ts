/** How a copy is recognised, and whether two of them have bytes in common. */

import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { FileDevice } from '../device/block-device.js';
import { diskIdentity, fileIdentity } from '../device/disk-identity.js';
import { type DeviceIdentity, identifyPath } from '../device/topology.js';
import { stableIdentity } from '../stream/device-facts.js';

export interface CopyFacts {
  readonly path: string;
  readonly inode: string | null;
  readonly identity: string;
  /** Bytes. */
  readonly size: number;
}

export async function factsOf(device: FileDevice): Promise<CopyFacts> {
  const path = resolve(device.path);
  const identity = (await stableIdentity(device)) ?? fileIdentity(realPath(path));
  const inode = device.identity.kind === 'file' ? device.identity.inode : null;
  return { path, inode, identity, size: device.size };
}

/** For a device that is removed during the look, its own. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

type Noted = Pick<CopyFacts, 'path' | 'inode'>;

/** For an entry that does not name it. Names of files may lead to a remote host, which may not answer. */
export function identityAt({ path, inode }: Noted): string | undefined {
  if (inode !== null || !path.startsWith('/dev/')) return undefined;
  const there = identifyPath(path);
  return there?.kind === 'block' ? diskIdentity(there.device) : undefined;
}

/** Whether its path leads to the device of that identity now, and that is one of those. */
export function isDeviceNow(
  { path, inode }: Noted,
  identity: string,
  isOne: (device: DeviceIdentity) => boolean,
): boolean {
  if (inode !== null || !path.startsWith('/dev/')) return false;
  const there = identifyPath(path);
  if (there?.kind !== 'block' || !isOne(there)) return false;
  // Another device may have that name by now.
  return (diskIdentity(there.device) ?? fileIdentity(realPath(path))) === identity;
}

/** Whether both are parts of one file that have bytes in common: see fileIdentity and what a loop device is known by. */
export function shareFile(
  one: Pick<CopyFacts, 'identity' | 'size'>,
  other: Pick<CopyFacts, 'identity' | 'size'>,
): boolean {
  const [first, second] = [partOf(one), partOf(other)];
  if (first === undefined || second === undefined || first.file !== second.file) return false;
  return first.start < second.end && second.start < first.end;
}

function partOf({
  identity,
  size,
}: Pick<CopyFacts, 'identity' | 'size'>): { file: string; start: number; end: number } | undefined {
  const [, file, offset = '0'] = /^file:(.*?)(?:@(\d+))?$/.exec(identity) ?? [];
  return file === undefined
    ? undefined
    : { file, start: Number(offset), end: Number(offset) + size };
}

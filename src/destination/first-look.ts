/** The first look at a destination, before it is claimed. */

import { statfsSync } from 'node:fs';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import { FileDevice } from '../device/block-device.js';
import { isNativeError } from '../host/native.js';
import { parseDeviceName, type VolumeName } from '../lvm/device-name.js';
import { fullName } from '../lvm/unfit-volume.js';

/** What helps where there is no such destination: it is a new one that is to be made, or it was to be there. */
export type IfMissing = 'make' | 'makeAndCopy' | 'find';

interface Wanted {
  readonly path: string;
  /** Default: makeAndCopy. */
  readonly ifMissing?: IfMissing;
  /** Bytes that it has to hold; undefined where that is not known. */
  readonly size?: number | undefined;
}

/** `OVERLAYFS_SUPER_MAGIC` of linux/magic.h. */
const OVERLAYFS = 0x794c7630;

/**
 * For reading. An overlay copies a file of a lower layer up when it is first opened for writing, which may give it
 * another inode: that comes before the checks, so that what is opened after them is what was checked.
 */
export async function openToCheck(request: Wanted): Promise<FileDevice> {
  const { path } = request;
  const seen = await openSeen(request);
  if (seen.info.blockDevice || statfsSync(path).type !== OVERLAYFS) return seen;
  await seen.close();
  await (await FileDevice.open(path, { role: 'destination', write: true })).close();
  return FileDevice.open(path, { role: 'destination' });
}

/** The same without that: nothing is changed. Throws (destinationUnfit) with how it is made, where it is not there. */
export async function openSeen(wanted: Wanted): Promise<FileDevice> {
  const { path, size } = wanted;
  try {
    return await FileDevice.open(path, { role: 'destination' });
  } catch (error) {
    if (size === undefined || !isMissing(error)) throw error;
    const { code, message, cause } = error;
    const hint = hintWhereMissing({ ...wanted, size });
    throw new LvmsyncError(code, message, { ...UNTOUCHED, hint, cause });
  }
}

function isMissing(error: unknown): error is LvmsyncError {
  if (!(error instanceof LvmsyncError) || !isNativeError(error.cause)) return false;
  return error.cause.code === 'ENOENT';
}

/** Bytes. */
function hintWhereMissing({
  path,
  size,
  ifMissing = 'makeAndCopy',
}: Wanted & { readonly size: number }): string {
  const volume = volumeAt(path);
  // A volume that is not active has no device.
  const inactive =
    volume === undefined
      ? ''
      : `, and activate it if it is an inactive volume: lvchange -ay -K ${fullName(volume)}`;
  const check = `Check its name${inactive}`;
  const creation = creationOf(path, size, volume);
  if (ifMissing === 'find' || creation === undefined) return inactive === '' ? `${check}.` : check;
  const make = `${check}. Where it is new, create it with "${creation}"`;
  if (ifMissing === 'make') return `${make}, then run the same command again.`;
  // A sync to an empty one would end well, and leave no copy.
  return `${make}, then copy the whole snapshot to it with dd: a sync to an empty destination makes no copy.`;
}

/** The command that makes what is missing; undefined where it has to come by itself, as a disk does. */
function creationOf(
  path: string,
  size: number,
  volume: VolumeName | undefined,
): string | undefined {
  if (volume !== undefined) {
    return `lvcreate --size ${size}b --name ${volume.lvName} ${volume.vgName}`;
  }
  if (/^\/dev\/(?!shm\/)/.test(path)) return undefined;
  return `truncate --size ${size} ${typedPath(path, undefined)}`;
}

const BESIDE_DEV = /^\/dev\/([\w+.-]+)\/([\w+.-]+)$/;
/** Directories of /dev that belong to no volume group: LVM refuses a group whose name is taken there. */
const NOT_OF_LVM = new Set(
  'block bsg bus char cpu disk dri drbd fd input mapper md mqueue net pts rbd shm snd vfio zvol'.split(
    ' ',
  ),
);

/** The volume whose device would have that name, if it can be one. */
function volumeAt(path: string): VolumeName | undefined {
  const [, mapped] = /^\/dev\/mapper\/([\w+.-]+)$/.exec(path) ?? [];
  if (mapped !== undefined) {
    const volume = parseDeviceName(mapped);
    return volume?.layer === undefined ? volume : undefined;
  }
  const [, vgName = '', lvName = ''] = BESIDE_DEV.exec(path) ?? [];
  return vgName === '' || NOT_OF_LVM.has(vgName) ? undefined : { vgName, lvName };
}

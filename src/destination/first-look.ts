/** The first look at a destination, before it is claimed. */

import { statfsSync } from 'node:fs';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import { FileDevice } from '../device/block-device.js';
import { isNativeError } from '../host/native.js';

interface Wanted {
  readonly path: string;
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
export async function openSeen({ path, size }: Wanted): Promise<FileDevice> {
  try {
    return await FileDevice.open(path, { role: 'destination' });
  } catch (error) {
    if (size === undefined || !isMissing(error)) throw error;
    const { code, message, cause } = error;
    // A sync to an empty one would end well, and leave no copy.
    const hint = `Check its name${inactive(path)}. Where it is new, create it with "${creation(path, size)}", then copy the whole snapshot to it with dd, or use lvmsync cycle --init: a sync to an empty destination makes no copy.`;
    throw new LvmsyncError(code, message, { ...UNTOUCHED, hint, cause });
  }
}

function isMissing(error: unknown): error is LvmsyncError {
  if (!(error instanceof LvmsyncError) || !isNativeError(error.cause)) return false;
  return error.cause.code === 'ENOENT';
}

const VOLUME = /^\/dev\/([\w+.-]+)\/([\w+.-]+)$/;

/** A volume that is not active has no device. */
function inactive(path: string): string {
  const [, group, volume] = VOLUME.exec(path) ?? [];
  return group === undefined
    ? ''
    : `, and activate it if it is an inactive volume: lvchange -ay -K ${group}/${volume}`;
}

/** The command that makes what is missing. Bytes. */
function creation(path: string, size: number): string {
  const [, group, volume] = VOLUME.exec(path) ?? [];
  if (group === undefined) return `truncate --size ${size} ${typedPath(path, undefined)}`;
  return `lvcreate --size ${size}b --name ${volume} ${group}`;
}

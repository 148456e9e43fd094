/** The first look at a destination, before it is claimed. */

import { statfsSync } from 'node:fs';
import { LvmsyncError, UNTOUCHED, withContext } from '../base/errors.js';
import { FileDevice } from '../device/block-device.js';
import type { RunCommand } from '../host/subprocess.js';
import { hintWhereMissing, isMissing, type Wanted } from './missing.js';

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

/** The same without that: nothing is changed. Throws (destinationUnfit) with what helps, where it cannot be opened. */
export async function openSeen(wanted: Wanted, run?: RunCommand): Promise<FileDevice> {
  try {
    return await FileDevice.open(wanted.path, { role: 'destination' });
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    if (!isMissing(error)) throw withContext(error, UNTOUCHED);
    const { code, message, cause } = error;
    const hint = await hintWhereMissing(wanted, run);
    throw new LvmsyncError(code, message, { ...UNTOUCHED, hint, cause });
  }
}

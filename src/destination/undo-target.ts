/** Whether an undo file is given to what it was made of: on anything else it would be damage. */

import { resolve } from 'node:path';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { exactSize } from '../base/text.js';
import type { FileDevice } from '../device/block-device.js';
import { identifyPath, identityKey } from '../device/topology.js';
import type { Hello } from '../stream/control-frame.js';
import { mayBeUnnamed, stableIdentity } from '../stream/device-facts.js';

/** Throws (destinationUnfit) where it is another device or file, or one that has changed its size since. */
export async function refuseOtherTarget(
  { kind, deviceSize, attributes }: Hello,
  name: string,
  device: FileDevice,
): Promise<void> {
  if (kind !== 'snapback') return;
  const actual = (await stableIdentity(device)) ?? null;
  const { deviceIdentity = null, devicePath, formerSize } = attributes;
  if (deviceIdentity !== null && deviceIdentity === actual) return;
  const label = (path: string, identity: string | null): string =>
    identity === null ? path : `${path} (${identity})`;
  if (deviceIdentity !== null || !mayBeUnnamed(actual) || !isAt(devicePath, device)) {
    const owner = label(devicePath ?? 'another device', deviceIdentity);
    throw refusal(
      `${name}: this snapback belongs to ${owner}, not to ${label(device.path, actual)}`,
    );
  }
  // Its run may have been cut off before it made the file longer, or undoing it after that was taken back.
  if ([String(deviceSize), formerSize].includes(String(device.size))) return;
  throw refusal(
    `${name}: this snapback is for ${exactSize(deviceSize)}, but ${device.path} has ${exactSize(device.size)}`,
  );
}

/** By whatever name. Streams of other makers may name no path: they belong to what they are given to. */
function isAt(devicePath: string | undefined, device: FileDevice): boolean {
  if (devicePath === undefined || devicePath === resolve(device.path)) return true;
  const there = identifyPath(devicePath);
  return there !== undefined && identityKey(there) === identityKey(device.identity);
}

function refusal(message: string): LvmsyncError {
  return new LvmsyncError('destinationUnfit', message, {
    ...UNTOUCHED,
    hint: 'Check both names. Use --force only if it is the same copy, moved or restored elsewhere: on any other volume it destroys data.',
  });
}

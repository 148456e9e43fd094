/**
 * A receiver that a sender of the same machine started, as with `localhost:/dev/vg/lv`: what the sender
 * reads must not be written here any more than in a local run.
 */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import type { FileDevice } from '../device/block-device.js';
import { bareUuid, parseDeviceUuid } from '../lvm/device-name.js';
import type { Hello } from '../stream/control-frame.js';
import { machineIdentity, stableIdentity } from '../stream/device-facts.js';

/** Throws (destinationUnfit) if the device is a volume that the sender of this stream reads. */
export async function refuseOwnSource(hello: Hello, device: FileDevice): Promise<void> {
  // A stored stream may go back to where it came from, to restore it.
  if (hello.kind !== 'wire') return;
  const { machineId, deviceIdentity, fromPoint, toPoint } = hello.attributes;
  if (machineId === undefined || machineId !== (await machineIdentity())) return;
  const own = volumeUuid(await stableIdentity(device));
  if (own === undefined) return;
  if (![deviceIdentity, fromPoint, toPoint].some((one) => volumeUuid(one) === own)) return;
  throw new LvmsyncError(
    'destinationUnfit',
    `${device.path} is the source of this run: the sender reads it on this same machine`,
    { ...UNTOUCHED, hint: 'No option allows this.' },
  );
}

/** The uuid of a volume, as LVM prints it, or from one that device-mapper holds for a volume or a layer of it. */
function volumeUuid(identity: string | undefined): string | undefined {
  if (identity === undefined) return undefined;
  return parseDeviceUuid(identity)?.lvUuid ?? bareUuid(identity);
}

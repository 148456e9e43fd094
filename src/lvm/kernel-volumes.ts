/** The volumes that the kernel has devices of, for a host or a user that cannot ask LVM. */

import { join } from 'node:path';
import { listNames, readLine } from '../host/virtual-files.js';
import { parseDeviceName, parseDeviceUuid, type VolumeName } from './device-name.js';

/** Those that LVM made, with their inner layers. Any user may look. */
export function volumesInKernel(devices = '/sys/block'): readonly VolumeName[] {
  return listNames(devices).flatMap((device) => {
    const uuid = readLine(join(devices, device, 'dm/uuid'));
    const name = readLine(join(devices, device, 'dm/name'));
    if (uuid === undefined || parseDeviceUuid(uuid) === undefined) return [];
    return parseDeviceName(name ?? '') ?? [];
  });
}

/** A device's identity that outlives renaming and reboots, where it has one. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { FileDevice } from './block-device.js';
import type { Hello, HelloAttributes } from './control-frame.js';
import { VERSION } from './version.js';

/**
 * Device-mapper's uuid of a block device, which for a logical volume is made of LVM's own uuids.
 * Undefined for other devices and for files: they have none that a copy or a reboot would not change.
 */
export async function stableIdentity(device: FileDevice): Promise<string | undefined> {
  const { blockDevice, major, minor } = device.info;
  if (!blockDevice) return undefined;
  const uuid = await readFile(`/sys/dev/block/${major}:${minor}/dm/uuid`, 'utf8').catch(() => '');
  return uuid.trim() === '' ? undefined : uuid.trim();
}

/**
 * The running kernel: who has the same one has the same devices, in whatever container. Undefined where
 * /proc does not tell.
 */
export async function machineIdentity(): Promise<string | undefined> {
  const id = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return id.trim() === '' ? undefined : id.trim();
}

/** What a snapback says of its destination, which is about to have `size` bytes. */
export async function snapbackFacts(
  device: FileDevice,
  size: number,
): Promise<Pick<Hello, 'deviceSize' | 'attributes'>> {
  const grown = size === device.size ? {} : { formerSize: String(device.size) };
  return { deviceSize: size, attributes: { ...(await deviceAttributes(device)), ...grown } };
}

/** What a stream or snapback says of the device it belongs to. */
export async function deviceAttributes(device: FileDevice): Promise<HelloAttributes> {
  const deviceIdentity = await stableIdentity(device);
  const machineId = await machineIdentity();
  return {
    ...(machineId === undefined ? {} : { machineId }),
    devicePath: resolve(device.path),
    createdAt: new Date().toISOString(),
    program: `lvmsync ${VERSION}`,
    ...(deviceIdentity === undefined ? {} : { deviceIdentity }),
  };
}

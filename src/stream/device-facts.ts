/** A device's identity that outlives renaming and reboots, where it has one. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { VERSION } from '../base/version.js';
import type { FileDevice } from '../device/block-device.js';
import { diskIdentity, isNewerKind } from '../device/disk-identity.js';
import { headKindsOf } from '../device/head-kind.js';
import type { Hello, HelloAttributes } from './control-frame.js';

/**
 * The identity of a block device: device-mapper's uuid, which for a logical volume is made of LVM's own, or
 * what a disk is called by its maker. Undefined for what has none, and for files: those have their path.
 */
export async function stableIdentity(device: FileDevice): Promise<string | undefined> {
  const { blockDevice, major, minor } = device.info;
  return blockDevice ? diskIdentity(`${major}:${minor}`) : undefined;
}

/** Whether a program that knew fewer kinds of identity wrote none for it. */
export function mayBeUnnamed(identity: string | null): boolean {
  return identity === null || isNewerKind(identity);
}

/** Advice for the beginning of a chain on a disk that only its name identifies; undefined for nothing. */
export async function nameAdvice(device: FileDevice): Promise<string | undefined> {
  const { path } = device;
  if (!device.info.blockDevice || path.startsWith('/dev/disk/by-')) return undefined;
  if ((await stableIdentity(device)) !== undefined) return undefined;
  return `${path}: it has no serial number and no uuid, so the chain knows it only by this name, which another disk may have after a reboot. Use a permanent name of the disk, such as one in /dev/disk/by-id or /dev/disk/by-path`;
}

/**
 * The running kernel: who has the same one has the same devices, in whatever container. Undefined where
 * /proc does not tell.
 */
export async function machineIdentity(): Promise<string | undefined> {
  const id = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return id.trim() === '' ? undefined : id.trim();
}

/**
 * A snapback's description of its destination, which is about to have `size` bytes, and to hold a copy of one of
 * the `headKinds`. Undone, it begins again as it does now.
 */
export async function snapbackFacts(
  device: FileDevice,
  size: number,
  headKinds: readonly string[],
): Promise<Pick<Hello, 'deviceSize' | 'attributes'>> {
  const grown = size === device.size ? {} : { formerSize: String(device.size) };
  const now = await headKindsOf([device]);
  const kinds = headKindAttribute([...new Set([...headKinds, ...now])]);
  const attributes = { ...(await deviceAttributes(device)), ...grown, ...kinds };
  return { deviceSize: size, attributes };
}

/** A stream's description of its source. */
export async function streamAttributes({
  device,
  attributes,
  copySize,
  headKinds,
}: {
  readonly device: FileDevice;
  readonly attributes: HelloAttributes;
  readonly copySize: number;
  readonly headKinds: readonly string[];
}): Promise<HelloAttributes> {
  const needed = copySize === 0 ? {} : { copySize: String(copySize) };
  const kinds = headKindAttribute(headKinds);
  return { ...(await deviceAttributes(device)), ...attributes, ...needed, ...kinds };
}

function headKindAttribute(headKinds: readonly string[]): HelloAttributes {
  return headKinds.length === 0 ? {} : { headKinds: headKinds.join(',') };
}

export function headKindsIn({ headKinds }: HelloAttributes): readonly string[] {
  return headKinds === undefined ? [] : headKinds.split(',');
}

/** A stream's or snapback's description of the device it belongs to. */
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

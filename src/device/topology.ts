/**
 * Which block device is built on which, as the kernel tells it in sysfs. Devices are named by their
 * numbers, never by a path, so that a renamed or relinked node cannot mislead. Reads only small
 * virtual files, synchronously: it runs once, before any data move.
 */

import { type BigIntStats, existsSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { listNames, readLine } from '../host/virtual-files.js';

/** A block device by `major:minor`; a regular file by its file system's `major:minor` and its inode. */
export type DeviceIdentity =
  | { readonly kind: 'block'; readonly device: string }
  | { readonly kind: 'file'; readonly device: string; readonly inode: string };

export type Identify = (path: string) => DeviceIdentity | undefined;

export interface TopologyEffects {
  /** Put before `/proc` and `/sys`. */
  readonly root: string;
  /** The target of a path; undefined for all but block devices and regular files, and for nothing. */
  readonly identify: Identify;
}

export const realTopology: TopologyEffects = { root: '', identify: identifyPath };

/** Equal for, and only for, the same device or file. */
export function identityKey(identity: DeviceIdentity): string {
  if (identity.kind === 'block') return identity.device;
  return `${identity.device}/${identity.inode}`;
}

/** Under which a run locks it. */
export function lockKey(identity: DeviceIdentity): string {
  return `${identity.kind}-${identityKey(identity)}`;
}

/** Follows links. A path that cannot be reached leads to nothing. */
export function identifyPath(path: string): DeviceIdentity | undefined {
  try {
    return identityFromStat(statSync(path, { bigint: true }));
  } catch {
    return undefined;
  }
}

/** For `fstat` of an open descriptor, so that what is checked is what will be written. */
export function identityFromStat(stats: BigIntStats): DeviceIdentity | undefined {
  if (stats.isBlockDevice()) return { kind: 'block', device: formatDeviceNumber(stats.rdev) };
  if (!stats.isFile()) return undefined;
  return { kind: 'file', device: formatDeviceNumber(stats.dev), inode: String(stats.ino) };
}

/** glibc's `dev_t`: 12 low bits of the major in the middle, 8 low bits of the minor at the bottom. */
function formatDeviceNumber(number: bigint): string {
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n);
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

export interface Window {
  readonly carrier: { readonly device: string; readonly offset: number } | undefined;
  readonly isMixed: boolean;
}

const NO_WINDOW: Window = { carrier: undefined, isMixed: false };
/** Places of partitions in sysfs count in these, whatever the device's own sectors are. */
const SECTOR_SIZE = 512;

function windowOf({ device }: DeviceIdentity, offset: number): Window {
  if (!Number.isSafeInteger(offset)) return { carrier: undefined, isMixed: true };
  return { carrier: { device, offset }, isMixed: false };
}

/** The layers over and under a device. No list holds the device it was asked for. */
export class Topology {
  readonly #root: string;
  readonly #identify: Identify;
  #loops: readonly Loop[] | undefined;

  constructor(effects: TopologyEffects = realTopology) {
    this.#root = effects.root;
    this.#identify = effects.identify;
  }

  /** Devices directly under it: an LV's physical volumes, a thick origin's `-real`. */
  slaves(identity: DeviceIdentity): DeviceIdentity[] {
    return this.#linked(identity, 'slaves');
  }

  /** Devices directly on it that claim it: device-mapper, md. */
  holders(identity: DeviceIdentity): DeviceIdentity[] {
    return this.#linked(identity, 'holders');
  }

  /** All that holds its bytes: slaves, the whole disk of a partition, what backs a loop device. */
  builtOn(identity: DeviceIdentity): DeviceIdentity[] {
    return closure(identity, (one) => this.#carriers(one));
  }

  /** As `builtOn`, and on through files to the devices of the file systems that they lie in. */
  storedOn(identity: DeviceIdentity): DeviceIdentity[] {
    return closure(identity, (one) =>
      one.kind === 'file' ? [{ kind: 'block', device: one.device }] : this.#carriers(one),
    );
  }

  /** Every device that reads or writes through it: holders, partitions, loop devices, and so on up. */
  above(identity: DeviceIdentity): DeviceIdentity[] {
    return closure(identity, (one) => [...this.claimants(one), ...this.partitions(one)]);
  }

  /** Devices directly on it that keep it in use: holders and loop devices, not mere partitions. */
  claimants(identity: DeviceIdentity): DeviceIdentity[] {
    const key = identityKey(identity);
    this.#loops ??= this.#readLoops();
    const loops = this.#loops.filter((loop) => identityKey(loop.backing) === key);
    return [...this.holders(identity), ...loops.map((loop) => loop.device)];
  }

  /** The disk that a partition is a part of; none for anything else. */
  wholeDisk(identity: DeviceIdentity): DeviceIdentity[] {
    const directory = this.#directory(identity);
    if (directory === undefined || readLine(join(directory, 'partition')) === undefined) return [];
    return blockDevice(readLine(join(dirname(directory), 'dev')));
  }

  /**
   * The device of which a partition, or a loop device over one, is a part: the bytes from `offset` on. `isMixed`
   * where it is built on others in some other way, such as RAID; device-mapper's tables tell that better.
   */
  window(identity: DeviceIdentity): Window {
    const directory = this.#directory(identity);
    if (directory === undefined) return NO_WINDOW;
    const [disk] = this.wholeDisk(identity);
    if (disk !== undefined) {
      const start = Number(readLine(join(directory, 'start')) ?? NaN);
      return windowOf(disk, start * SECTOR_SIZE);
    }
    const backing = this.#backing(directory);
    if (backing?.kind === 'block') {
      return windowOf(backing, Number(readLine(join(directory, 'loop', 'offset')) ?? NaN));
    }
    const isMapped = existsSync(join(directory, 'dm'));
    return { carrier: undefined, isMixed: !isMapped && this.slaves(identity).length > 0 };
  }

  partitions(identity: DeviceIdentity): DeviceIdentity[] {
    const directory = this.#directory(identity);
    if (directory === undefined) return [];
    return listNames(directory)
      .filter((name) => readLine(join(directory, name, 'partition')) !== undefined)
      .flatMap((name) => blockDevice(readLine(join(directory, name, 'dev'))));
  }

  /** As people know it: device-mapper's name, else the kernel's, else numbers. */
  name(identity: DeviceIdentity): string {
    if (identity.kind === 'file') return `the file with inode ${identity.inode}`;
    const directory = this.#directory(identity);
    if (directory === undefined) return `device ${identity.device}`;
    return readLine(join(directory, 'dm', 'name')) ?? basename(directory);
  }

  /** LVM's begins with `LVM-` and names an inner layer in a suffix, such as `-real` or `-cow`. */
  deviceMapperUuid(identity: DeviceIdentity): string | undefined {
    const directory = this.#directory(identity);
    return directory === undefined ? undefined : readLine(join(directory, 'dm', 'uuid'));
  }

  #directory(identity: DeviceIdentity): string | undefined {
    if (identity.kind === 'file') return undefined;
    try {
      return realpathSync(join(this.#root, '/sys/dev/block', identity.device));
    } catch {
      return undefined;
    }
  }

  #linked(identity: DeviceIdentity, folder: 'slaves' | 'holders'): DeviceIdentity[] {
    const directory = this.#directory(identity);
    if (directory === undefined) return [];
    const names = listNames(join(directory, folder));
    return names.flatMap((name) => blockDevice(readLine(join(directory, folder, name, 'dev'))));
  }

  #carriers(identity: DeviceIdentity): DeviceIdentity[] {
    const directory = this.#directory(identity);
    const backing = directory === undefined ? undefined : this.#backing(directory);
    const below = [...this.slaves(identity), ...this.wholeDisk(identity)];
    return backing === undefined ? below : [...below, backing];
  }

  #backing(directory: string): DeviceIdentity | undefined {
    const path = readLine(join(directory, 'loop', 'backing_file'));
    return path === undefined ? undefined : this.#identify(path);
  }

  #readLoops(): readonly Loop[] {
    const block = join(this.#root, '/sys/block');
    return listNames(block)
      .filter((name) => name.startsWith('loop'))
      .flatMap((name) => {
        const backing = this.#backing(join(block, name));
        const [device] = blockDevice(readLine(join(block, name, 'dev')));
        return backing === undefined || device === undefined ? [] : [{ device, backing }];
      });
  }
}

interface Loop {
  readonly device: DeviceIdentity;
  readonly backing: DeviceIdentity;
}

function closure(
  start: DeviceIdentity,
  step: (identity: DeviceIdentity) => readonly DeviceIdentity[],
): DeviceIdentity[] {
  const seen = new Map<string, DeviceIdentity>([[identityKey(start), start]]);
  // A Map's iterator also visits what is added while it runs.
  for (const identity of seen.values()) {
    for (const next of step(identity)) {
      if (!seen.has(identityKey(next))) seen.set(identityKey(next), next);
    }
  }
  seen.delete(identityKey(start));
  return [...seen.values()];
}

function blockDevice(device: string | undefined): DeviceIdentity[] {
  return device === undefined ? [] : [{ kind: 'block', device }];
}

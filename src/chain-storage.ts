/**
 * Whether what is written during a run is stored on the volume that is copied. Of the snapbacks of a chain each
 * turn would save into it what the next one has to send, and save, again.
 */

import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { CycleOrigin } from './cycle-volumes.js';
import { bareUuid, parseDeviceUuid } from './device-name.js';
import {
  type DeviceIdentity,
  realTopology,
  Topology,
  type TopologyEffects,
} from './device-topology.js';
import { readMounts } from './device-users.js';
import { LvmsyncError } from './errors.js';
import type { Reporter } from './reporter.js';
import { fullName } from './unfit-volume.js';

/** Throws (snapback) where it is so, unless that is forced: then it warns. The directory need not exist. */
export function refuseOwnStorage(
  directory: string,
  origin: CycleOrigin,
  { force, reporter }: { readonly force: boolean; readonly reporter: Pick<Reporter, 'warn'> },
  effects: TopologyEffects = realTopology,
): void {
  if (!isStoredOn(directory, origin, effects)) return;
  const message = `${directory}: it is stored on ${fullName(origin)}, the volume that is copied: what a turn saves there the next turn has to send`;
  if (force) {
    reporter.warn(message);
    return;
  }
  throw new LvmsyncError('snapback', message, {
    state: 'Nothing was sent, and no snapshot was made or removed.',
    hint: 'Put the chain on another volume; --force takes this one all the same.',
  });
}

function isStoredOn(directory: string, { uuid }: CycleOrigin, effects: TopologyEffects): boolean {
  const topology = new Topology(effects);
  const isOrigin = (device: DeviceIdentity): boolean => {
    const volume = parseDeviceUuid(topology.deviceMapperUuid(device) ?? '');
    // What its snapshots are built on is an inner layer of it: they are volumes of their own.
    return volume?.lvUuid === bareUuid(uuid) && volume.layer === undefined;
  };
  return carriersOf(directory, effects).some(isOrigin);
}

/** All devices that the file system of a path, or of what of it is there, lies on. */
export function carriersOf(
  path: string,
  effects: TopologyEffects = realTopology,
): DeviceIdentity[] {
  const topology = new Topology(effects);
  return devicesOf(existing(resolve(path)), effects).flatMap((device) => [
    device,
    ...topology.storedOn(device),
  ]);
}

/** Where the path, or what of it is there, leads to. */
function existing(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === '/' ? path : existing(dirname(path));
  }
}

/** Of the file system that a path lies in. The innermost mount counts. */
function devicesOf(path: string, effects: TopologyEffects): DeviceIdentity[] {
  const around = readMounts(effects).filter(({ mountPoint }) => lies(path, mountPoint));
  const innermost = Math.max(...around.map(({ mountPoint }) => mountPoint.length));
  return around
    .filter(({ mountPoint }) => mountPoint.length === innermost)
    .map(({ device }) => device);
}

function lies(path: string, mountPoint: string): boolean {
  return path === mountPoint || path.startsWith(mountPoint === '/' ? '/' : `${mountPoint}/`);
}

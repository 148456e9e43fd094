/** The devices that a file lies on. */

import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type DeviceIdentity, realTopology, Topology, type TopologyEffects } from './topology.js';
import { readMounts } from './users.js';

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

/** The device of the file system that a path lies in. The innermost mount counts. */
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

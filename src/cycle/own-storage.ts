import { LvmsyncError } from '../base/errors.js';
import { carriersOf } from '../device/file-carriers.js';
import {
  type DeviceIdentity,
  realTopology,
  Topology,
  type TopologyEffects,
} from '../device/topology.js';
import { bareUuid, parseDeviceUuid } from '../lvm/device-name.js';
import { fullName } from '../lvm/unfit-volume.js';
import type { Reporter } from '../run/reporter.js';
import type { CycleOrigin } from './volumes.js';

/** Throws (snapback) where it is so, unless that is forced: then it warns. The directory need not exist. */
export function refuseOwnStorage(
  directory: string,
  origin: CycleOrigin,
  { force, reporter }: { readonly force: boolean; readonly reporter: Pick<Reporter, 'warn'> },
  effects: TopologyEffects = realTopology,
): void {
  if (!isStoredOn(directory, origin, effects)) return;
  const message = `${directory}: it is stored on ${fullName(origin)}, the volume that is copied: the next cycle run would have to send all that this one saves there`;
  if (force) {
    reporter.warn(message);
    return;
  }
  throw new LvmsyncError('snapback', message, {
    state: 'Nothing was sent, and no snapshot was made or removed.',
    hint: 'Put the chain on another volume, or use --force.',
  });
}

function isStoredOn(directory: string, { uuid }: CycleOrigin, effects: TopologyEffects): boolean {
  const topology = new Topology(effects);
  const isOrigin = (device: DeviceIdentity): boolean => {
    const volume = parseDeviceUuid(topology.deviceMapperUuid(device) ?? '');
    // The layer below its snapshots is an inner layer of it: they are volumes of their own.
    return volume?.lvUuid === bareUuid(uuid) && volume.layer === undefined;
  };
  return carriersOf(directory, effects).some(isOrigin);
}

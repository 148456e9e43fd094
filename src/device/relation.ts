/**
 * How a device is related to what a run reads. Volumes of one group, or of one thin pool, share what
 * they are stored on: that alone is no relation, and the usual case.
 */

import { type DeviceIdentity, identityKey, type Topology } from './topology.js';

/** A device that a run reads: the origin, the snapshot, its COW store, another data source. */
export interface SourceMember {
  readonly identity: DeviceIdentity;
  /** Completes "is ...": `the origin`, `the COW store of the snapshot`. */
  readonly role: string;
}

export type Relation =
  /** It is a member. */
  | { readonly kind: 'same'; readonly member: SourceMember }
  /** A member's bytes lie on it: a physical volume, a thin pool's data, a loop device's file. */
  | { readonly kind: 'beneath'; readonly member: SourceMember }
  /** Its bytes lie on a member: a partition or encrypted volume in it, a loop device over it. */
  | { readonly kind: 'over'; readonly member: SourceMember }
  /** It shares a layer that LVM keeps for the origin: another thick snapshot of it. */
  | { readonly kind: 'sibling'; readonly layer: DeviceIdentity }
  /** It lies in a file system that lies on a member. */
  | { readonly kind: 'within'; readonly member: SourceMember };

/** The closest relation; undefined for none. */
export function findRelation(
  device: DeviceIdentity,
  members: readonly SourceMember[],
  topology: Topology,
): Relation | undefined {
  const among = (devices: readonly DeviceIdentity[]) =>
    members.find(({ identity }) => contains(devices, identity));

  const same = among([device]);
  if (same !== undefined) return { kind: 'same', member: same };
  const above = members.find(({ identity }) => contains(topology.storedOn(identity), device));
  if (above !== undefined) return { kind: 'beneath', member: above };

  const builtOn = topology.builtOn(device);
  const hidden = hiddenLayers(members, topology);
  const under = among(builtOn.filter((layer) => !contains(hidden, layer)));
  if (under !== undefined) return { kind: 'over', member: under };
  const layer = builtOn.find((one) => contains(hidden, one));
  if (layer !== undefined) return { kind: 'sibling', layer };
  const around = among(topology.storedOn(device));
  return around === undefined ? undefined : { kind: 'within', member: around };
}

/** The `-real` and `-cow` devices of the members. Snapshots of one origin are all built on its `-real`. */
function hiddenLayers(members: readonly SourceMember[], topology: Topology): DeviceIdentity[] {
  return members
    .flatMap(({ identity }) => [identity, ...topology.slaves(identity)])
    .filter((one) => /^LVM-.*-(real|cow)$/.test(topology.deviceMapperUuid(one) ?? ''));
}

function contains(devices: readonly DeviceIdentity[], wanted: DeviceIdentity): boolean {
  return devices.some((device) => identityKey(device) === identityKey(wanted));
}

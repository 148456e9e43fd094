/** The volume that a cycle follows, and the snapshots of it that earlier turns made. */

import { localTime } from '../base/local-time.js';
import { CommandError, type RunCommand } from '../host/subprocess.js';
import { bareUuid, type VolumeName } from '../lvm/device-name.js';
import { askHost } from '../lvm/host-tools.js';
import { listTaggedVolumes, type TaggedVolume } from '../lvm/lvs-report.js';
import { refuseSiblingMerge } from '../lvm/origin-merge.js';
import { fullName, unfit } from '../lvm/unfit-volume.js';
import { identifyVolume, inspectPath, noSuchVolume, type PathKind } from '../lvm/volume-name.js';
import { CYCLE_TAG, chainTagOf, snapshotName, timeOfTags, UNCONFIRMED_TAG } from './names.js';

export interface CycleOrigin {
  readonly vgName: string;
  readonly lvName: string;
  readonly uuid: string;
  /** Bytes. */
  readonly size: number;
  /** How its snapshots are made. */
  readonly kind: 'thick' | 'thin';
  /** Of a thin one: its pool. */
  readonly poolName?: string;
}

type Origin = Pick<CycleOrigin, 'vgName' | 'lvName' | 'uuid' | 'poolName'>;

/** A snapshot with the tags of the chain. */
export interface CycleSnapshot {
  readonly vgName: string;
  readonly lvName: string;
  readonly uuid: string;
  /** When it was made: ISO 8601, UTC, whole seconds. */
  readonly time: string;
  /**
   * `unfinished`: the run that made it was killed over it, and nothing was sent of it; `lost`: its
   * COW store overflowed; `merging`: its origin is about to become what it holds.
   */
  readonly state: 'whole' | 'unfinished' | 'lost' | 'merging';
}

/** Those of one chain. */
export interface CycleSnapshots {
  /** They share it. */
  readonly tag: string;
  /** Oldest first. */
  readonly snapshots: readonly CycleSnapshot[];
}

/** Throws LvmsyncError 'usage' if there is no such volume, 'sourceUnfit' if it cannot be followed. */
export async function findOrigin(
  subject: string,
  run: RunCommand = askHost,
  inspect: (path: string) => Promise<PathKind> = inspectPath,
): Promise<CycleOrigin> {
  const wanted = await identifyVolume(subject, inspect, 'volume');
  const volumes = await listGroup(subject, wanted.vgName, run);
  const volume = volumes.find(({ lvName, uuid }) =>
    wanted.uuid === undefined ? lvName === wanted.lvName : bareUuid(uuid) === wanted.uuid,
  );
  if (volume === undefined) throw noSuchVolume(subject, 'volume');
  refuseKind(volume);
  const { vgName, lvName, uuid, size, poolName } = volume;
  const about = { vgName, lvName, uuid, size };
  return volume.segmentType === 'thin'
    ? { ...about, kind: 'thin', poolName }
    : { ...about, kind: 'thick' };
}

async function listGroup(
  subject: string,
  vgName: string,
  run: RunCommand,
): Promise<readonly TaggedVolume[]> {
  try {
    return await listTaggedVolumes(vgName, run);
  } catch (error) {
    if (!(error instanceof CommandError) || !error.stderr.includes('not found')) throw error;
    throw noSuchVolume(subject, 'volume', error);
  }
}

function refuseKind(volume: TaggedVolume): void {
  if (volume.tags.includes(CYCLE_TAG)) {
    throw unfit(volume, 'a snapshot made by a cycle: name its origin instead');
  }
  if (volume.roles.includes('thicksnapshot')) {
    throw unfit(volume, 'a snapshot: name its origin instead');
  }
  if (volume.roles.includes('private') || volume.segmentType.endsWith('pool')) {
    throw unfit(volume, `not a volume with data of its own, but one of type ${volume.segmentType}`);
  }
}

/**
 * Those of the chain with that tag, oldest first. Throws (sourceUnfit) while a snapshot that is none of
 * them is being merged into the origin.
 */
export async function listSnapshots(
  origin: CycleOrigin,
  tag: string,
  run: RunCommand = askHost,
): Promise<readonly CycleSnapshot[]> {
  const volumes = await listTaggedVolumes(origin.vgName, run);
  const snapshots = ofChain(volumes, origin, tag);
  const others = volumes.filter(({ uuid }) => snapshots.every((one) => one.uuid !== uuid));
  refuseSiblingMerge(origin, origin.uuid, others);
  return snapshots;
}

/** The chain that the snapshot of that uuid was made for; undefined where the origin has no such. */
export async function findCycleOf(
  uuid: string,
  origin: CycleOrigin,
  run: RunCommand = askHost,
): Promise<CycleSnapshots | undefined> {
  const volumes = await listTaggedVolumes(origin.vgName, run);
  const tag = chainTagOf(volumes.find((one) => one.uuid === uuid)?.tags ?? []);
  if (tag === undefined) return undefined;
  const snapshots = ofChain(volumes, origin, tag);
  return snapshots.some((one) => one.uuid === uuid) ? { tag, snapshots } : undefined;
}

/** A volume and its snapshot. */
export interface Base {
  readonly origin: VolumeName;
  readonly snapshot: VolumeName;
}

/** Where the snapshot with that uuid belongs to another volume; undefined if it does not. */
export async function findBaseElsewhere(
  uuid: string,
  origin: CycleOrigin,
  run: RunCommand = askHost,
): Promise<Base | undefined> {
  const volumes = await listTaggedVolumes(undefined, run).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    // Another group may be damaged.
    return listTaggedVolumes(origin.vgName, run);
  });
  const snapshot = volumes.find((one) => one.uuid === uuid);
  if (snapshot === undefined) return undefined;
  const { vgName, lvName } = snapshot;
  const named = snapshot.origin ?? byName(snapshot, volumes);
  if (named === undefined || named.uuid === origin.uuid) return undefined;
  return { origin: { vgName, lvName: named.lvName }, snapshot: { vgName, lvName } };
}

/** Of a snapshot whose link to its origin the merge of another one cut. */
function byName(
  { vgName, lvName, tags }: TaggedVolume,
  volumes: readonly TaggedVolume[],
): TaggedVolume | undefined {
  const time = timeOfTags(tags);
  if (time === undefined) return undefined;
  return volumes.find((one) => one.vgName === vgName && snapshotName(one, time) === lvName);
}

/** Those of the chain with that tag among the volumes of the group, oldest first. */
export function ofChain(
  volumes: readonly TaggedVolume[],
  origin: Origin,
  tag: string,
): readonly CycleSnapshot[] {
  return volumes
    .filter(({ tags }) => tags.includes(CYCLE_TAG) && tags.includes(tag))
    .flatMap((volume) => describe(volume, origin) ?? [])
    .sort((a, b) => a.time.localeCompare(b.time));
}

function describe(volume: TaggedVolume, origin: Origin): CycleSnapshot | undefined {
  const time = timeOfTags(volume.tags);
  if (time === undefined) return undefined;
  const { vgName, lvName, uuid } = volume;
  const snapshot = { vgName, lvName, uuid, time };
  if (volume.origin?.uuid === origin.uuid) return { ...snapshot, state: stateOf(volume) };
  if (volume.origin !== undefined || lvName !== snapshotName(origin, time)) return undefined;
  // The merge of another snapshot cuts its link to the origin; its mappings are as good as before.
  if (volume.segmentType === 'thin') {
    return volume.poolName === origin.poolName
      ? { ...snapshot, state: stateOf(volume) }
      : undefined;
  }
  // lvcreate makes the COW store of a thick snapshot first, and of that the snapshot.
  return { ...snapshot, state: 'unfinished' };
}

function stateOf({ merging, mergeFailed, invalid, tags }: TaggedVolume): CycleSnapshot['state'] {
  if (merging || mergeFailed) return 'merging';
  if (tags.includes(UNCONFIRMED_TAG)) return 'unfinished';
  return invalid ? 'lost' : 'whole';
}

/** For messages: the name and the moment. */
export function describeSnapshot(snapshot: CycleSnapshot): string {
  return `${fullName(snapshot)} of ${localTime(snapshot.time)}`;
}

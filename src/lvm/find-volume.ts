/**
 * From what a person typed to the snapshot it names. Three witnesses are asked: `lvs`, the volume
 * group's metadata (vgcfgbackup) and the kernel (dmsetup). A snapshot is served only where they agree
 * and its list of changes is whole.
 */

import type { LvmsyncError } from '../base/errors.js';
import { CommandError, type RunCommand } from '../host/subprocess.js';
import { bareUuid } from './device-name.js';
import { askHost } from './host-tools.js';
import type { Volume } from './lvs-report.js';
import { describeThick, type ThickSnapshot } from './thick-snapshot.js';
import { describeThin, type ThinVolume } from './thin-volume.js';
import { fullName, unfit } from './unfit-volume.js';
import { VolumeGroup } from './volume-group.js';
import {
  identifyVolume,
  inspectPath,
  noSuchVolume,
  type PathKind,
  type Sought,
  type WantedVolume,
} from './volume-name.js';

/**
 * The snapshot that `subject` names: /dev/VG/LV, /dev/mapper/NAME, VG/LV, or any path to its device.
 * Throws LvmsyncError 'usage' if that is no logical volume, 'sourceUnfit' if it is one that cannot
 * serve: not a snapshot, overflowed, merging, inactive, or described differently by LVM and the kernel.
 */
export async function findSnapshot(
  subject: string,
  run: RunCommand = askHost,
  inspect: (path: string) => Promise<PathKind> = inspectPath,
): Promise<ThickSnapshot | ThinVolume> {
  const { volume, group } = await findVolume(subject, run, inspect);
  return describeSnapshot(volume, group);
}

/** The snapshot that a volume of the group is, as findSnapshot describes it. */
export async function describeSnapshot(
  volume: Volume,
  group: VolumeGroup,
): Promise<ThickSnapshot | ThinVolume> {
  if (volume.segmentType === 'thin') return describeThin(volume, group);
  if (volume.roles.includes('thicksnapshot')) return describeThick(volume, group);
  throw notSnapshot(volume, group);
}

/**
 * The snapshot of that uuid, whatever its name is by now. Throws as findSnapshot does, and 'sourceUnfit' if it
 * is gone.
 */
export async function describeKnown(
  snapshot: Pick<Volume, 'vgName' | 'lvName' | 'uuid'>,
  group: VolumeGroup,
): Promise<ThickSnapshot | ThinVolume> {
  const volume = group.volumes.find(({ uuid }) => uuid === snapshot.uuid);
  if (volume === undefined) throw unfit(snapshot, 'it was removed during the run');
  return describeSnapshot(volume, group);
}

export interface FoundVolume {
  readonly volume: Volume;
  readonly group: VolumeGroup;
}

/** The volume that `subject` names, snapshot or not, and its group. Throws (usage) if it names none. */
export async function findVolume(
  subject: string,
  run: RunCommand = askHost,
  inspect: (path: string) => Promise<PathKind> = inspectPath,
): Promise<FoundVolume> {
  const wanted = await identifyVolume(subject, inspect);
  const group = await listGroupOf(wanted, run, 'snapshot');
  return { volume: findIn(group, wanted, 'snapshot'), group };
}

/** The same where its group may be known: that is not asked again. */
export async function findBeside(subject: string, known: VolumeGroup): Promise<FoundVolume> {
  const wanted = await identifyVolume(subject, inspectPath, 'volume');
  const group =
    wanted.vgName === known.name ? known : await listGroupOf(wanted, known.run, 'volume');
  return { volume: findIn(group, wanted, 'volume'), group };
}

function findIn({ volumes }: VolumeGroup, wanted: WantedVolume, sought: Sought): Volume {
  const volume = volumes.find(({ lvName, uuid }) =>
    wanted.uuid === undefined ? lvName === wanted.lvName : bareUuid(uuid) === wanted.uuid,
  );
  if (volume === undefined) throw noSuchVolume(wanted.subject, sought);
  return volume;
}

async function listGroupOf(
  wanted: WantedVolume,
  run: RunCommand,
  sought: Sought,
): Promise<VolumeGroup> {
  try {
    return await VolumeGroup.list(wanted.vgName, run);
  } catch (error) {
    // Anything else (no right to ask, a lock, a broken group) says nothing about the name.
    const isMissing = error instanceof CommandError && error.stderr.includes('not found');
    if (wanted.uuid === undefined && isMissing) throw noSuchVolume(wanted.subject, sought, error);
    throw error;
  }
}

function notSnapshot(volume: Volume, { volumes }: VolumeGroup): LvmsyncError {
  const what = `not a snapshot but a volume of type ${volume.segmentType}`;
  return unfit(volume, what, instead(volume, volumes));
}

function instead(volume: Volume, volumes: readonly Volume[]): string {
  if (volume.segmentType.endsWith('pool')) {
    const inPool = volumes.filter(({ poolName }) => poolName === volume.lvName).map(fullName);
    if (inPool.length > 0) return `Name a snapshot in it. Its volumes: ${inPool.join(', ')}.`;
  }
  const isOwnOfLvm = volume.segmentType.endsWith('pool') || volume.roles.includes('private');
  return isOwnOfLvm ? 'Name a snapshot of a volume with data.' : nameSnapshot(volume, volumes);
}

/** The advice for a volume that has to be a snapshot, and is not one: those of it, or how to make one. */
export function nameSnapshot(volume: Volume, volumes: readonly Volume[]): string {
  const snapshots = volumes.filter(({ origin }) => origin?.uuid === volume.uuid).map(fullName);
  if (snapshots.length > 0) return `Name the one that the copy matches: ${snapshots.join(', ')}.`;
  const room = volume.segmentType === 'thin' ? '-kn ' : '--extents 20%ORIGIN ';
  const command = `lvcreate --snapshot ${room}--name ${volume.lvName}-snap ${fullName(volume)}`;
  return `It has no snapshots. Make one with "${command}", and make the first copy of that with dd.`;
}

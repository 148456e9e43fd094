/**
 * Merges of a snapshot into its origin. One gives the origin another content as soon as it begins; the
 * lists of the other snapshots hold that only bit by bit, so that none of them can serve until its end.
 */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import type { SourceMember } from '../device/relation.js';
import { CommandError, type RunCommand } from '../host/subprocess.js';
import { readLine } from '../host/virtual-files.js';
import type { Reporter } from '../run/reporter.js';
import { bareUuid, parseDeviceName, parseDeviceUuid, type VolumeName } from './device-name.js';
import { readMappedTable } from './dmsetup.js';
import { parseTable } from './dmsetup-table.js';
import { askHost } from './host-tools.js';
import { listVolumes, type Volume } from './lvs-report.js';
import { fullName, unfit } from './unfit-volume.js';

/**
 * Throws (sourceUnfit) if LVM is merging a snapshot into the origin of that uuid, or will when that is next
 * activated. `volumes` are those of its group, `volume` is the one that cannot serve then.
 */
export function refuseSiblingMerge(
  volume: VolumeName,
  originUuid: string,
  volumes: readonly Volume[],
): void {
  const sibling = volumes.find(
    ({ origin, merging, mergeFailed }) => origin?.uuid === originUuid && (merging || mergeFailed),
  );
  if (sibling === undefined) return;
  const { vgName, origin } = sibling;
  const into = { vgName, lvName: origin?.lvName ?? '' };
  const merge = `a merge of ${fullName(sibling)} into ${fullName(into)}`;
  if (sibling.mergeFailed) throw unfit(volume, `${merge} failed`, HALF_MERGED);
  throw unfit(volume, `${merge} is scheduled or running`, afterMerge(into));
}

export const HALF_MERGED =
  'The origin is half merged: find out why with lvs and dmesg, and repair that first.';

export function afterMerge(origin: VolumeName): string {
  return `The merge replaces the content of ${fullName(origin)}. ${finishMerge(origin)} Then try again.`;
}

/** The snapshot is gone after it. */
export function ownMerge(origin: VolumeName, finish: string): string {
  return `The merge returns ${fullName(origin)} to its former content and removes this snapshot. ${finish} Then make a new snapshot and a full copy of it.`;
}

/** By itself LVM begins a scheduled merge only with an activation; it hides the snapshot from a plain lvs. */
export function finishMerge(origin: VolumeName): string {
  const name = fullName(origin);
  return `If it has not begun yet, it begins when ${name} is next activated: unmount ${name} and run "lvchange -an ${name}" and "lvchange -ay ${name}", or restart this host. ${waitForMerge(origin)}`;
}

export function waitForMerge({ vgName }: VolumeName): string {
  return `Wait until "lvs -a ${vgName}" no longer shows the snapshot that is being merged.`;
}

const UNDER_WAY = 'The merge replaces the content of the origin: try again when it has finished.';

/**
 * Throws (sourceUnfit) if the kernel is merging a snapshot into one of the devices, which are open. LVM
 * does not begin a merge into an open device, but it may have begun one just before.
 */
export async function refuseRunningMerge(
  members: readonly SourceMember[],
  readTable: (device: string) => Promise<string | undefined> = readMappedTable,
): Promise<void> {
  const blocks = members.filter(({ identity: { kind } }) => kind === 'block');
  for (const device of new Set(blocks.map(({ identity }) => identity.device))) {
    for (const target of parseTable((await readTable(device)) ?? '')) {
      if (target.type !== 'snapshot-merge') continue;
      const what = `a merge of ${volumeName(target.cow)} into it is running`;
      throw new LvmsyncError('sourceUnfit', `${volumeName(device)}: ${what}`, { hint: UNDER_WAY });
    }
  }
}

/**
 * Throws (destinationUnfit) if a snapshot is being merged into the device, or will be when it is next activated:
 * that takes back what is written to it. Asks LVM only of a volume that can have snapshots now.
 */
export async function refuseMergeInto(
  device: string,
  reporter: Pick<Reporter, 'warn'>,
  run: RunCommand = askHost,
): Promise<void> {
  const folder = `/sys/dev/block/${device}/dm`;
  const name = parseDeviceName(readLine(`${folder}/name`) ?? '');
  const uuid = parseDeviceUuid(readLine(`${folder}/uuid`) ?? '');
  if (name === undefined || uuid === undefined) return;
  const targets = parseTable((await readMappedTable(device, run)) ?? '');
  const types = targets.map(({ type }) => type);
  if (types.includes('snapshot-merge'))
    throw mergedInto(name, 'a snapshot is being merged into it');
  if (!types.includes('snapshot-origin') && !types.includes('thin')) return;
  const volumes = await listVolumes(name.vgName, run).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    // A container may have the device without LVM, or without its volume groups.
    if (error.status !== undefined) reporter.warn(`${fullName(name)}: ${notAsked(error)}`);
    return [];
  });
  const isMerging = ({ origin, merging }: Volume): boolean =>
    merging && origin !== undefined && bareUuid(origin.uuid) === uuid.lvUuid;
  const snapshot = volumes.find(isMerging);
  if (snapshot === undefined) return;
  throw mergedInto(name, `a merge of ${fullName(snapshot)} into it is scheduled`);
}

function notAsked({ message }: CommandError): string {
  return `LVM cannot be asked whether a merge into it is scheduled, which would overwrite the data of this run; assuming that none is (${message})`;
}

function mergedInto(volume: VolumeName, what: string): LvmsyncError {
  const name = fullName(volume);
  return new LvmsyncError(
    'destinationUnfit',
    `${name}: ${what}, which would overwrite the data of this run`,
    {
      ...UNTOUCHED,
      hint: `Let the merge finish first. ${finishMerge(volume)}`,
    },
  );
}

/** VG/LV of the volume that a device or an inner layer of it belongs to. */
function volumeName(device: string): string {
  const volume = parseDeviceName(readLine(`/sys/dev/block/${device}/dm/name`) ?? '');
  return volume === undefined ? `device ${device}` : fullName(volume);
}

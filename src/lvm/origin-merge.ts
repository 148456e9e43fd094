/**
 * Merges of a snapshot into its origin. One gives the origin another content as soon as it begins; the
 * lists of the other snapshots hold that only bit by bit, so that none of them can serve until its end.
 */

import { LvmsyncError } from '../base/errors.js';
import type { SourceMember } from '../device/relation.js';
import { readLine } from '../host/virtual-files.js';
import { parseDeviceName, type VolumeName } from './device-name.js';
import { parseTable } from './dmsetup-table.js';
import type { Volume } from './lvs-report.js';
import { readMappedTable } from './mapped-table.js';
import { fullName, unfit } from './refusal.js';

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
  const into = fullName({ vgName, lvName: origin?.lvName ?? '' });
  const what = sibling.mergeFailed ? 'failed' : 'is scheduled or running';
  throw unfit(volume, `a merge of ${fullName(sibling)} into ${into} ${what}`, AFTER_IT);
}

const AFTER_IT = 'It replaces what the origin holds: try again when it has ended.';

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
      throw new LvmsyncError('sourceUnfit', `${volumeName(device)}: ${what}`, { hint: AFTER_IT });
    }
  }
}

/** VG/LV of the volume that a device or an inner layer of it belongs to. */
function volumeName(device: string): string {
  const volume = parseDeviceName(readLine(`/sys/dev/block/${device}/dm/name`) ?? '');
  return volume === undefined ? `device ${device}` : fullName(volume);
}

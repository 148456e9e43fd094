/** The health of a thick snapshot in the kernel: how full its COW store is, or why it is lost. */

import type { LvmsyncError } from '../base/errors.js';
import type { RunCommand } from '../host/subprocess.js';
import type { VolumeName } from './device-name.js';
import { statusOf } from './dmsetup.js';
import type { SnapshotFault, SnapshotUsage } from './dmsetup-status.js';
import { askHost } from './host-tools.js';
import { unfit } from './unfit-volume.js';

/** The fill of the COW store. Throws 'sourceUnfit' if its list of changes is not whole any more. */
export async function readSnapshotStatus(
  snapshot: OfOrigin & { readonly dmUuid: string },
  run: RunCommand = askHost,
): Promise<SnapshotUsage> {
  const targets = await statusOf(snapshot.dmUuid, run, { code: 'sourceUnfit' });
  const [target] = targets;
  if (target?.type !== 'snapshot') throw unfit(snapshot, notSnapshotTarget(targets));
  if ('fault' in target) throw lost(snapshot, target.fault);
  return target.usage;
}

/** A snapshot with the name of its origin. */
type OfOrigin = VolumeName & { readonly origin?: { readonly lvName: string } | undefined };

/** The refusal of a snapshot with that fault. */
export function lost(snapshot: OfOrigin, fault: SnapshotFault): LvmsyncError {
  const isOverflow = fault === 'Invalid' || fault === 'Overflow';
  return unfit(snapshot, FAULT_TEXTS[fault], isOverflow ? afterOverflow(snapshot) : undefined);
}

function afterOverflow({ vgName, lvName, origin }: OfOrigin): string {
  const name = `${vgName}/${lvName}`;
  const commands = [
    `lvremove ${name}`,
    `lvcreate --snapshot --size LARGER --name ${lvName} ${vgName}/${origin?.lvName ?? 'ORIGIN'}`,
    `lvmsync verify --full --repair --data-source /dev/${name} ${name} DESTINATION`,
  ];
  return `Remove it, take a larger one, and bring the copy to what that holds: ${commands.join('; ')}`;
}

/** Each completes "VG/LV: ...". */
export const FAULT_TEXTS: Readonly<Record<SnapshotFault, string>> = {
  Invalid: 'snapshot overflowed, its change list is lost: a full copy is needed (kernel: Invalid)',
  Overflow:
    'snapshot overflowed, its change list is lost: a full copy is needed (kernel: Overflow)',
  'Merge failed': 'its merge into the origin failed, so the origin is only half merged',
  Unknown: 'a transient snapshot keeps no change list on disk',
};

/** Likewise, where the kernel has no one snapshot in the volume's place. */
export function notSnapshotTarget(targets: readonly { readonly type: string }[]): string {
  const types = targets.map(({ type }) => type).join(', ');
  return `the kernel has "${types}" in its place, not a single snapshot`;
}

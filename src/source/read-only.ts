/** Volumes that cannot have changed since they were read. */

import { join } from 'node:path';
import { readLine } from '../host/virtual-files.js';
import type { ThinVolume } from '../lvm/thin-volume.js';
import { fullName, unfit } from '../lvm/unfit-volume.js';

type Checked = Pick<ThinVolume, 'vgName' | 'lvName' | 'writable' | 'deviceNumber'>;

/**
 * Throws (sourceUnfit) where LVM lets one of them be written, now or when it is next activated, or the kernel of
 * this host does. `root` is put before `/sys`.
 */
export function refuseWritable(volumes: readonly Checked[], root = ''): void {
  for (const volume of volumes) {
    if (!volume.writable && isReadOnlyHere(volume, root)) continue;
    const name = fullName(volume);
    throw unfit(
      volume,
      'not read-only, so it may have changed since a backup was made of it',
      `Make snapshots for this with "lvcreate -pr". If nothing has written to ${name} since it was made: lvchange -pr ${name}`,
    );
  }
}

/** One that is not active is in no kernel. */
function isReadOnlyHere({ deviceNumber }: Checked, root: string): boolean {
  if (deviceNumber === undefined) return true;
  return readLine(join(root, '/sys/dev/block', deviceNumber, 'ro')) === '1';
}

/**
 * Whether a device was written between two runs: what counts its writes is noted by the first, and looked at by
 * the second. That shows a write that went by this program, such as those of a mount; it proves that there
 * was none only while the same kernel runs and the device stays active. A file keeps its mark for longer.
 */

import { statfsSync } from 'node:fs';
import { readText } from '../host/virtual-files.js';
import type { FileDevice } from './block-device.js';
import { statAfterTick } from './file-tick.js';
import { identifyPath } from './topology.js';

/** Positions in /sys/dev/block/M:N/stat (Documentation/block/stat.rst): sectors written, and discarded. */
const SECTORS_WRITTEN = 6;
const SECTORS_DISCARDED = 13;

/**
 * The numbers of file systems in statfs(2), of those whose time of modification changes with each write and
 * only then, and is durable after fsync: ext2 to ext4, XFS, Btrfs, F2FS, ZFS, tmpfs, overlayfs. Not of those that
 * round it (FAT), or where another machine sets it later (NFS, SMB).
 */
const EXACT_TIMES: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0x01021994, 0x794c7630,
]);

/** For an open device whose writes are flushed; undefined where nothing counts. `root` is put before paths. */
export function writeMark(
  { path, identity }: Pick<FileDevice, 'path' | 'identity'>,
  root = '',
): string | undefined {
  if (identity.kind === 'file') {
    return fileMark(path);
  }
  const folder = `${root}/sys/dev/block/${identity.device}`;
  const backing = readText(`${folder}/loop/backing_file`)?.trim();
  if (backing !== undefined) {
    // Its counts are those of whatever the number showed. The counts of a part of a file change with the rest of it.
    const part = ['offset', 'sizelimit'].map((name) => readText(`${folder}/loop/${name}`)?.trim());
    return part.every((value) => value === '0') ? backingMark(backing, root) : undefined;
  }
  return countedMark(folder, root);
}

/** Devices below are counted, not the node in /dev, whose times mean nothing. */
function backingMark(path: string, root: string): string | undefined {
  const identity = identifyPath(path);
  return identity && writeMark({ path, identity }, root);
}

function countedMark(folder: string, root: string): string | undefined {
  const boot = readText(`${root}/proc/sys/kernel/random/boot_id`)?.trim();
  const fields = readText(`${folder}/stat`)?.trim().split(/\s+/);
  const written = fields?.[SECTORS_WRITTEN];
  if (boot === undefined || written === undefined) return undefined;
  // Another one for what has the number next; of a partition that of its disk. Older kernels have none.
  const sequence = readText(`${folder}/diskseq`) ?? readText(`${folder}/../diskseq`) ?? '';
  return `${boot}/${sequence.trim()} ${written} ${fields?.[SECTORS_DISCARDED] ?? '0'}`;
}

function fileMark(path: string): string | undefined {
  const stats = statAfterTick(path);
  if (stats === undefined || !EXACT_TIMES.has(statfsSync(path).type)) return undefined;
  return `file ${stats.size} ${stats.mtimeNs}`;
}

/** In the place of a mark, where a write was found before further writes of our own. */
export const WRITTEN = 'written';

/** False also where that cannot be known. */
export function wasWritten(before: string | undefined, now: string | undefined): boolean {
  if (before === WRITTEN) return true;
  if (before === undefined || now === undefined) return false;
  const [beforeBoot, ...counted] = before.split(' ');
  const [boot, ...counts] = now.split(' ');
  // After a reboot they begin anew, and where the volume was inactive in between.
  if (boot !== beforeBoot) return false;
  // Older kernels do not report that it was, and then 0 means nothing.
  return counts.some((count, index) => count !== '0' && count !== counted[index]);
}

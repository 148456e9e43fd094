/** How large a thick snapshot of a cycle should be, by what the last ones had to hold. Pure. */

import { humanSize } from '../base/text.js';

/** Times the most that was used. */
const MARGIN = 2;
const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
/** LVM makes thick snapshots with chunks of this size unless it is given another one. */
const CHUNK_SIZE = 4 * KIB;

/** Twice the most that one of the last intervals used; `uses` are not empty. */
export function neededSize(uses: readonly number[]): number {
  return MARGIN * Math.max(...uses);
}

/** Bytes with which a store can never overflow: a copy of each chunk, the lists of them, and its first chunks. */
export function coveringSize(volumeSize: number): number {
  const chunks = Math.ceil(volumeSize / CHUNK_SIZE);
  const listed = CHUNK_SIZE / 16;
  return (chunks + Math.ceil(chunks / listed) + 4) * CHUNK_SIZE;
}

/** For --size: whole MiB, or GiB, never less. */
export function sizeOption(bytes: number): string {
  return bytes < 10 * GIB ? `${Math.ceil(bytes / MIB)}M` : `${Math.ceil(bytes / GIB)}G`;
}

export function describeNeed(uses: readonly number[]): string {
  return `twice the most that ${intervals(uses)} used, ${humanSize(Math.max(...uses))}`;
}

function intervals({ length }: readonly number[]): string {
  return length === 1 ? 'the last interval' : `one of the last ${length} intervals`;
}

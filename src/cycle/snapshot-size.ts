/** How large a thick snapshot of a cycle should be, by what the last ones had to hold. Pure. */

import { LvmsyncError } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import type { FreeRoom } from '../lvm/free-room.js';
import { REMEMBERED } from './names.js';

/** Times the most that was used. */
const MARGIN = 2;
/** Shares of the volume: as long as little is known, and after intervals in which little was written. */
const FIRST_SHARE = 0.2;
const LEAST_SHARE = 0.05;
const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
/** LVM makes thick snapshots with chunks of this size unless it is given another one. */
const CHUNK_SIZE = 4 * KIB;

/** Twice the most that one of the last intervals used; `uses` are not empty. */
export function neededSize(uses: readonly number[]): number {
  return MARGIN * Math.max(...uses);
}

/** Bytes with which a store can never overflow, since it has room for each chunk. */
export function coveringSize(volumeSize: number): number {
  return storeSize(Math.ceil(volumeSize / CHUNK_SIZE), CHUNK_SIZE);
}

/** Bytes of a store for so many chunks: their copies, the lists of them, and its first chunks. */
export function storeSize(chunks: number, chunkSize: number): number {
  const listed = chunkSize / 16;
  return (chunks + Math.ceil(chunks / listed) + 4) * chunkSize;
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

interface WantedSize {
  readonly bytes: number;
  readonly why: string;
}

/** `uses`: bytes of the last intervals, the newest first. */
function wantedSize(uses: readonly number[], volumeSize: number): WantedSize {
  const isKnown = uses.length >= REMEMBERED;
  const least = Math.ceil((isKnown ? LEAST_SHARE : FIRST_SHARE) * volumeSize);
  const needed = uses.length === 0 ? 0 : neededSize(uses);
  const most = coveringSize(volumeSize);
  if (needed >= most) return { bytes: most, why: 'with which it can hold all of the volume' };
  if (needed >= least) return { bytes: needed, why: describeNeed(uses) };
  const share = isKnown
    ? `5% of the volume, which is the least: ${intervals(uses)} used ${humanSize(Math.max(...uses))} at most`
    : `20% of the volume, as long as fewer than ${REMEMBERED} intervals are known`;
  return { bytes: Math.min(least, most), why: share };
}

export interface ChosenSize extends WantedSize {
  /** That there is less room than it should have. */
  readonly warning: string | undefined;
}

/**
 * What `--size auto` takes, in whole extents. Throws (sourceUnfit) where there is no more room than what the last
 * interval used, or than the least where none is known.
 */
export function chooseSize(
  uses: readonly number[],
  volumeSize: number,
  { vgName, extentSize, free }: FreeRoom,
): ChosenSize {
  const { bytes, why } = wantedSize(uses, volumeSize);
  const wanted = Math.ceil(bytes / extentSize) * extentSize;
  if (wanted <= free) return { bytes: wanted, why, warning: undefined };
  const [last = Math.ceil(LEAST_SHARE * volumeSize)] = uses;
  const should = `it should have ${humanSize(wanted)}, ${why}`;
  if (free > last) {
    const warning = `${vgName}: only ${humanSize(free)} are free, so the new snapshot gets only that: ${should}; "vgextend ${vgName} DEVICE" makes room`;
    return { bytes: free, why: `all that is free: ${should}`, warning };
  }
  const least = (Math.floor(last / extentSize) + 1) * extentSize;
  const than =
    uses.length === 0
      ? `the least is ${humanSize(least)}`
      : `the last interval used ${humanSize(last)}`;
  throw new LvmsyncError(
    'sourceUnfit',
    `${vgName}: too little room for a new snapshot: ${humanSize(free)} are free, and ${than}`,
    {
      state: 'No snapshot was made, and nothing was sent.',
      hint: `At least ${humanSize(least - free)} are missing. With ${humanSize(wanted - free)} more it would have ${humanSize(wanted)}, ${why}. Make room with "vgextend ${vgName} DEVICE", or remove a volume that nobody needs.`,
    },
  );
}

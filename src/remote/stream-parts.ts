/**
 * Cuts a list of changes into parts for several streams. Pure.
 *
 * Each part is one stretch of the device. So at most one extent is cut in each place between two parts,
 * the offsets of each stream ascend, and two receivers never write near each other. Parts that take
 * turns in small pieces would keep the places that are read together, for a disk with a head, but only
 * as long as all connections run at one speed, and would cut every long extent many times.
 */

import { type ExtentList, greatestCommonDivisor } from '../device/extent.js';
import { difference, within } from '../device/extent-sets.js';

export interface Part {
  /** All that one stream is about. */
  readonly extents: ExtentList;
  /** The part of `extents` that is known to read as zeros. */
  readonly zeros: ExtentList;
}

const MIB = 1024 * 1024;
/** Bytes of data: less is not worth a connection of its own. */
const SMALLEST_PART = MIB;

/**
 * Parts with about the same amount of data each, in ascending order, that together are the whole: at
 * most as many as asked for, and none of them empty, but for a whole that is. No chunk (bytes), and no
 * MiB of the device, belongs to two of them.
 */
export function planParts(whole: Part & { readonly chunkSize: number }, most: number): Part[] {
  if (most === 1) return [whole];
  const boundary = (MIB / greatestCommonDivisor(MIB, whole.chunkSize)) * whole.chunkSize;
  const data = difference(whole.extents, whole.zeros);
  const count = Math.min(most, Math.floor(data.totalBytes / SMALLEST_PART));
  const cuts = [0, ...planCuts(data, count, boundary), Infinity];
  const parts = cuts.slice(1).map((end, i) => partBetween(whole, cuts[i] ?? 0, end));
  const [first = whole, ...others] = parts.filter(({ extents }) => extents.count > 0);
  return [first, ...others];
}

function partBetween({ extents, zeros }: Part, start: number, end: number): Part {
  return { extents: within(extents, start, end), zeros: within(zeros, start, end) };
}

/** The multiples of `boundary` next to where each further 1/count of the bytes begins. */
function planCuts({ pairs, totalBytes }: ExtentList, count: number, boundary: number): Set<number> {
  const cuts = new Set<number>();
  let before = 0;
  let next = 1;
  for (let i = 0; i < pairs.length && next < count; i += 2) {
    const length = pairs[i + 1] ?? 0;
    for (; next < count && before + length >= (totalBytes * next) / count; next++) {
      const place = (pairs[i] ?? 0) + (totalBytes * next) / count - before;
      cuts.add(Math.round(place / boundary) * boundary);
    }
    before += length;
  }
  cuts.delete(0);
  return cuts;
}

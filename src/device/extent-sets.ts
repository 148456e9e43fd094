/** Set operations on lists of extents. Pure; linear in the length of the lists. */

import { ExtentList, NO_EXTENTS } from './extent.js';
import { forEachExtent } from './operations.js';

/** Everything that is in either list. */
export function union(a: ExtentList, b: ExtentList): ExtentList {
  if (a.count === 0) return b;
  if (b.count === 0) return a;
  const out = new Builder(a.count + b.count);
  let i = 0;
  let j = 0;
  while (i < a.pairs.length || j < b.pairs.length) {
    const fromA = j >= b.pairs.length || (a.pairs[i] ?? Infinity) <= (b.pairs[j] ?? Infinity);
    const from = fromA ? a.pairs : b.pairs;
    const at = fromA ? i : j;
    out.add(from[at] ?? 0, (from[at] ?? 0) + (from[at + 1] ?? 0));
    if (fromA) i += 2;
    else j += 2;
  }
  return out.finish();
}

/** The ranges in `a` that are not in `b`. */
export function difference(a: ExtentList, b: ExtentList): ExtentList {
  if (a.count === 0 || b.count === 0) return a;
  const out = new Builder(a.count + b.count);
  let j = 0;
  for (let i = 0; i < a.pairs.length; i += 2) {
    let start = a.pairs[i] ?? 0;
    const end = start + (a.pairs[i + 1] ?? 0);
    // Extents that end before this one end before all that follow, too.
    while (j < b.pairs.length && endAt(b, j) <= start) j += 2;
    for (let k = j; k < b.pairs.length && (b.pairs[k] ?? 0) < end; k += 2) {
      out.add(start, b.pairs[k] ?? 0);
      start = Math.max(start, endAt(b, k));
    }
    out.add(start, end);
  }
  return out.finish();
}

/** The part of `list` in [start, end). Shares the memory of `list` where no extent has to be cut. */
export function within(list: ExtentList, start: number, end: number): ExtentList {
  if (end <= start) return NO_EXTENTS;
  const first = firstEndingBehind(list, start);
  const last = firstEndingBehind(list, end);
  // The extent that ends behind `end` counts if it begins before.
  const stop = (list.pairs[last] ?? Infinity) < end ? last + 2 : last;
  const cutsFirst = (list.pairs[first] ?? Infinity) < start;
  const cutsLast = stop > first && endAt(list, stop - 2) > end;
  if (!cutsFirst && !cutsLast) return new ExtentList(list.pairs.subarray(first, stop));
  const pairs = list.pairs.slice(first, stop);
  if (cutsFirst) pairs.set([start, endAt(list, first) - start]);
  if (cutsLast) pairs[pairs.length - 1] = end - (pairs[pairs.length - 2] ?? 0);
  return new ExtentList(pairs);
}

/** Where blocks of `blockSize` bytes lie in [start, end): one begins at each place p with p + shift a multiple. */
export interface Blocks {
  readonly start: number;
  readonly end: number;
  readonly blockSize: number;
  readonly shift: number;
}

/** The list, and in [start, end) all of each block of which it holds a part. */
export function widen(list: ExtentList, { start, end, blockSize, shift }: Blocks): ExtentList {
  const out = new Builder(2 * list.count);
  const blockAt = (place: number): number =>
    Math.floor((place + shift) / blockSize) * blockSize - shift;
  forEachExtent(list.pairs, (from, length) => {
    const to = from + length;
    const touches = from < end && to > start;
    const first = touches ? Math.max(start, blockAt(Math.max(from, start))) : from;
    const last = touches ? Math.min(end, blockAt(Math.min(to, end) - 1) + blockSize) : to;
    out.add(Math.min(from, first), Math.max(to, last));
  });
  return out.finish();
}

/** Index into the pairs; their length if there is none. */
function firstEndingBehind(list: ExtentList, place: number): number {
  let low = 0;
  let high = list.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (endAt(list, 2 * middle) > place) high = middle;
    else low = middle + 1;
  }
  return 2 * low;
}

function endAt(list: ExtentList, at: number): number {
  return (list.pairs[at] ?? 0) + (list.pairs[at + 1] ?? 0);
}

/** Takes extents in ascending order of their starts; joins those that touch or overlap. */
class Builder {
  readonly #pairs: Float64Array;
  #used = 0;
  #start = 0;
  #end = 0;

  constructor(most: number) {
    this.#pairs = new Float64Array(most * 2);
  }

  add(start: number, end: number): void {
    if (end <= start) return;
    if (start <= this.#end && this.#end > this.#start) {
      this.#end = Math.max(this.#end, end);
      return;
    }
    this.#keep();
    this.#start = start;
    this.#end = end;
  }

  finish(): ExtentList {
    this.#keep();
    return new ExtentList(this.#pairs.slice(0, this.#used));
  }

  #keep(): void {
    if (this.#end <= this.#start) return;
    this.#pairs[this.#used++] = this.#start;
    this.#pairs[this.#used++] = this.#end - this.#start;
  }
}

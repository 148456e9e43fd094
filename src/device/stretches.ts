/** All of a list of changes, or of the device, as stretches one after the other. Pure. */

import type { ExtentList } from './extent.js';

/** `zero`: it reads as zeros now, and need not be read; `same`: it did not change. */
export type StretchKind = 'data' | 'zero' | 'same';

/** Bytes. */
export interface Stretch {
  readonly offset: number;
  readonly length: number;
  readonly kind: StretchKind;
}

export interface ListedChanges {
  readonly extents: ExtentList;
  /** The part of `extents` that reads as zeros. */
  readonly zeros: ExtentList;
}

/** Ascending and disjoint, neighbours always of different kinds: the changes, as far as they are made. */
export function* stretchesOf(changes: ListedChanges): Generator<Stretch, void> {
  let open: Stretch | undefined;
  for (const next of piecesOf(changes)) {
    if (open?.kind === next.kind && open.offset + open.length === next.offset) {
      open = { ...open, length: open.length + next.length };
      continue;
    }
    if (open !== undefined) yield open;
    open = next;
  }
  if (open !== undefined) yield open;
}

/** With what did not change between them, so that together they are all of a device of `size` bytes. */
export function* wholeDevice(changes: ListedChanges, size: number): Generator<Stretch, void> {
  let end = 0;
  for (const stretch of stretchesOf(changes)) {
    if (stretch.offset > end) yield { offset: end, length: stretch.offset - end, kind: 'same' };
    yield stretch;
    end = stretch.offset + stretch.length;
  }
  if (end < size) yield { offset: end, length: size - end, kind: 'same' };
}

/** Each extent, cut where zeros begin and end. */
function* piecesOf({ extents, zeros }: ListedChanges): Generator<Stretch, void> {
  let next = 0;
  for (let i = 0; i < extents.pairs.length; i += 2) {
    let offset = extents.pairs[i] ?? 0;
    const end = offset + (extents.pairs[i + 1] ?? 0);
    while (offset < end) {
      while (next < zeros.pairs.length && endAt(zeros, next) <= offset) next += 2;
      const zerosFrom = zeros.pairs[next] ?? Number.POSITIVE_INFINITY;
      const isZero = zerosFrom <= offset;
      const stop = Math.min(end, isZero ? endAt(zeros, next) : zerosFrom);
      yield { offset, length: stop - offset, kind: isZero ? 'zero' : 'data' };
      offset = stop;
    }
  }
}

function endAt({ pairs }: ExtentList, at: number): number {
  return (pairs[at] ?? 0) + (pairs[at + 1] ?? 0);
}

/** Changed stretches of a device, and how a run cuts them into batches. Pure. */

import { forEachExtent } from './operations.js';

/** Slab positions agree with offsets modulo this, so that O_DIRECT needs no copy. Bytes. */
export const PAGE = 4096;

/** Ascending, disjoint stretches of a device, as pairs offset, length in bytes. */
export class ExtentList {
  readonly pairs: Float64Array;
  readonly totalBytes: number;

  /** Takes `pairs` over. Throws RangeError where they are not ascending and disjoint. */
  constructor(pairs: Float64Array) {
    let end = 0;
    let total = 0;
    forEachExtent(pairs, (offset, length) => {
      if (offset < end || !(length > 0)) throw new RangeError('extents are not in order');
      end = offset + length;
      total += length;
    });
    if (!Number.isSafeInteger(end)) throw new RangeError('extents end beyond 2^53');
    this.pairs = pairs;
    this.totalBytes = total;
  }

  get count(): number {
    return this.pairs.length / 2;
  }

  /** One past the last byte named; 0 for an empty list. */
  get end(): number {
    const { pairs } = this;
    return (pairs.at(-2) ?? 0) + (pairs.at(-1) ?? 0);
  }

  /** The part of the list below `size`. */
  clippedTo(size: number): ExtentList {
    if (this.end <= size) return this;
    const kept: number[] = [];
    forEachExtent(this.pairs, (offset, length) => {
      if (offset < size) kept.push(offset, Math.min(length, size - offset));
    });
    return new ExtentList(Float64Array.from(kept));
  }

  /** With [start, end) added behind everything; the list must end at or before `start`. */
  withTail(start: number, end: number): ExtentList {
    if (end <= start) return this;
    const pairs = new Float64Array(this.pairs.length + 2);
    pairs.set(this.pairs);
    pairs.set([start, end - start], this.pairs.length);
    return new ExtentList(pairs);
  }
}

export const NO_EXTENTS = new ExtentList(new Float64Array());

export interface BatchLimits {
  /** Bytes of payload in one batch; a multiple of PAGE. */
  readonly bytes: number;
  readonly operations: number;
  /** Bytes in one operation. */
  readonly operationBytes: number;
  /**
   * Cut at every multiple of this many bytes: a record for each chunk, as the original writes.
   * Undefined: neighbouring chunks stay together.
   */
  readonly chunkSize?: number | undefined;
}

/** Enough for full speed with several in flight, small enough that those stay well under 150 MiB. */
export const BATCH_LIMITS: BatchLimits = {
  bytes: 2 * 1024 * 1024,
  operations: 512,
  operationBytes: 1024 * 1024,
};

/** One record a chunk; a chunk too large for a batch becomes records of one length that divides it. */
export function classicLimits(chunkSize: number): BatchLimits {
  const { bytes, operations } = BATCH_LIMITS;
  const recordSize = chunkSize <= bytes ? chunkSize : greatestCommonDivisor(chunkSize, bytes);
  const wholeRecords = bytes - (bytes % recordSize);
  return { bytes: wholeRecords, operations, operationBytes: recordSize, chunkSize: recordSize };
}

export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Smaller batches where several pipelines run at once, so that together they need no more memory. */
export function limitsAmong(limits: BatchLimits, pipelines: number): BatchLimits {
  const share = Math.max(1, pipelines / PIPELINES_AT_FULL_SIZE);
  const unit = limits.chunkSize ?? PAGE;
  const bytes = Math.max(unit, Math.floor(limits.bytes / share / unit) * unit);
  const operations = Math.ceil(limits.operations / share);
  return { ...limits, bytes, operations, operationBytes: Math.min(limits.operationBytes, bytes) };
}

const PIPELINES_AT_FULL_SIZE = 2;

/** Room for any batch within the limits: each operation may need up to a page to agree with its offset. */
export function slabSizeFor(limits: BatchLimits): number {
  return limits.bytes + (limits.operations + 1) * PAGE;
}

export interface Batch {
  /** Triples offset, length, slabPosition. */
  readonly operations: Float64Array;
  readonly bytes: number;
}

/** Cuts the list, in order, into batches: every byte exactly once. */
export function* planBatches(extents: ExtentList, limits: BatchLimits): Generator<Batch, void> {
  const { pairs } = extents;
  const open = new OpenBatch(limits);
  for (let i = 0; i < pairs.length; i += 2) {
    let offset = pairs[i] ?? 0;
    const end = offset + (pairs[i + 1] ?? 0);
    while (offset < end) {
      if (open.full) yield open.take();
      offset += open.add(offset, end);
    }
  }
  if (!open.empty) yield open.take();
}

/** The same operations in the same order, cut so that each list of them is within the limits. */
export function* regroup(operations: Float64Array, limits: BatchLimits): Generator<Float64Array> {
  let triples: number[] = [];
  let bytes = 0;
  for (let i = 0; i < operations.length; i += 3) {
    let [offset = 0, left = 0, position = 0] = operations.subarray(i, i + 3);
    while (left > 0) {
      if (triples.length === limits.operations * 3 || bytes >= limits.bytes) {
        yield Float64Array.from(triples);
        triples = [];
        bytes = 0;
      }
      const length = Math.min(left, limits.operationBytes, limits.bytes - bytes);
      triples.push(offset, length, position);
      bytes += length;
      offset += length;
      position += length;
      left -= length;
    }
  }
  if (triples.length > 0) yield Float64Array.from(triples);
}

class OpenBatch {
  readonly #limits: BatchLimits;
  readonly #triples: Float64Array;
  #count = 0;
  #bytes = 0;
  #position = 0;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
    this.#triples = new Float64Array(limits.operations * 3);
  }

  get empty(): boolean {
    return this.#count === 0;
  }

  get full(): boolean {
    return this.#count === this.#limits.operations || this.#bytes >= this.#limits.bytes;
  }

  /** Adds the first bytes of [offset, end) as one operation; returns how many. */
  add(offset: number, end: number): number {
    const length = this.#lengthAt(offset, end);
    const position = this.#position + ((((offset - this.#position) % PAGE) + PAGE) % PAGE);
    this.#triples.set([offset, length, position], this.#count * 3);
    this.#count++;
    this.#bytes += length;
    this.#position = position + length;
    return length;
  }

  #lengthAt(offset: number, end: number): number {
    const { bytes, operationBytes, chunkSize } = this.#limits;
    let limit = Math.min(end, offset + Math.min(operationBytes, bytes - this.#bytes));
    // A cut inside a page would make both sides of it unaligned.
    if (limit < end && limit - (limit % PAGE) > offset) limit -= limit % PAGE;
    if (chunkSize !== undefined) limit = Math.min(limit, offset - (offset % chunkSize) + chunkSize);
    return limit - offset;
  }

  take(): Batch {
    const batch = { operations: this.#triples.slice(0, this.#count * 3), bytes: this.#bytes };
    this.#count = 0;
    this.#bytes = 0;
    this.#position = 0;
    return batch;
  }
}

/** Finds where two devices differ: what all ways to look at a batch of both have in common. */

import { inOrder } from '../base/in-order.js';
import type { Pace } from '../base/rate-limit.js';
import { limitsAt } from '../device/batch-limits.js';
import { type BatchLimits, ExtentList, planBatches } from '../device/extent.js';
import { forEachExtent } from '../device/operations.js';
import type { ExtentPairs, Operations } from '../host/native.js';

/** Two devices, and a way to find where they differ. Several batches may be looked at at once. */
export interface Comparer {
  /** Batches at once. */
  readonly limits: BatchLimits;
  /** How many batches it is asked before the oldest answer. */
  readonly depth: number;
  /** The stretches of a batch that differ, ascending and disjoint. Nothing is under way when it fails. */
  differences(operations: Operations): Promise<ExtentPairs>;
}

export interface Comparison {
  readonly comparer: Comparer;
  readonly extents: ExtentList;
  readonly bytesPerSecond?: number | undefined;
  readonly pace?: Pace | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
}

/** More are counted only: a repair of so many is a full copy. */
export const MOST_RANGES = 4 * 1024 * 1024;

/** Stretches that differ, added in ascending order; neighbours become one. */
export class Differences {
  #bytes = 0;
  #count = 0;
  #pairs: number[] = [];
  #end = -1;

  add(offset: number, length: number): void {
    const { length: used } = this.#pairs;
    const follows = offset === this.#end;
    this.#bytes += length;
    this.#end = offset + length;
    if (!follows) this.#count++;
    if (this.#count > MOST_RANGES) return;
    if (follows) this.#pairs[used - 1] = this.#end - (this.#pairs[used - 2] ?? 0);
    else this.#pairs.push(offset, length);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many stretches there are. */
  get count(): number {
    return this.#count;
  }

  /** The lowest of them, as many as asked for at most. */
  first(most: number): { readonly offset: number; readonly length: number }[] {
    const ranges: { offset: number; length: number }[] = [];
    const pairs = this.#pairs.slice(0, 2 * most);
    forEachExtent(pairs, (offset, length) => ranges.push({ offset, length }));
    return ranges;
  }

  /** All of them; undefined if there were too many to keep. */
  list(): ExtentList | undefined {
    return this.#count > MOST_RANGES ? undefined : new ExtentList(Float64Array.from(this.#pairs));
  }
}

/** Adds what differs to `found`. Stops early, with what was found until then, when the signal comes. */
export async function compare(job: Comparison, found: Differences): Promise<void> {
  const { comparer, signal, onProgress } = job;
  let doneBytes = 0;
  const results = inOrder(pacedBatches(job), comparer.depth, async ({ operations, bytes }) => ({
    pairs: await comparer.differences(operations),
    bytes,
  }));
  for await (const { pairs, bytes } of results) {
    forEachExtent(pairs, (offset, length) => found.add(offset, length));
    doneBytes += bytes;
    onProgress(doneBytes);
    if (signal.aborted) return;
  }
}

async function* pacedBatches({ comparer, extents, bytesPerSecond, pace, signal }: Comparison) {
  for (const batch of planBatches(extents, limitsAt(comparer.limits, bytesPerSecond))) {
    await pace?.(batch.bytes);
    if (signal.aborted) return;
    yield batch;
  }
}

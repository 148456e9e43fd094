/** Finds where two devices differ, by hashes: of blocks first, then of the pages of those that differ. */

import type { BlockHashes } from './block-hashes.js';
import { type BatchLimits, ExtentList, PAGE, planBatches } from './extent.js';
import { HASH_LIMITS, HASH_SIZE } from './hash-lines.js';
import { inOrder } from './in-order.js';
import type { Operations } from './native.js';
import { limitsAt, type Pace } from './rate-limit.js';

/** Requests asked ahead of the oldest answer: a long line is kept full, and memory stays bounded. */
export const COMPARE_DEPTH = 64;

const PAGE_LIMITS: BatchLimits = { ...HASH_LIMITS, operationBytes: PAGE, chunkSize: PAGE };

export interface Comparison {
  readonly source: BlockHashes;
  readonly destination: BlockHashes;
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
    const pairs = this.#pairs.slice(0, 2 * most);
    return pairs.flatMap((offset, i) =>
      i % 2 === 0 ? [{ offset, length: pairs[i + 1] ?? 0 }] : [],
    );
  }

  /** All of them; undefined if there were too many to keep. */
  list(): ExtentList | undefined {
    return this.#count > MOST_RANGES ? undefined : new ExtentList(Float64Array.from(this.#pairs));
  }
}

/** Adds what differs to `found`. Stops early, with what was found until then, when the signal comes. */
export async function compare(job: Comparison, found: Differences): Promise<void> {
  let doneBytes = 0;
  const results = inOrder(pacedBatches(job), COMPARE_DEPTH, async ({ operations, bytes }) => ({
    different: await differentPages(job, operations),
    bytes,
  }));
  for await (const { different, bytes } of results) {
    for (const { offset, length } of different) found.add(offset, length);
    doneBytes += bytes;
    job.onProgress(doneBytes);
    if (job.signal.aborted) return;
  }
}

async function* pacedBatches({ extents, bytesPerSecond, pace, signal }: Comparison) {
  for (const batch of planBatches(extents, limitsAt(HASH_LIMITS, bytesPerSecond))) {
    await pace?.(batch.bytes);
    if (signal.aborted) return;
    yield batch;
  }
}

interface Stretch {
  readonly offset: number;
  readonly length: number;
}

async function differentPages(job: Comparison, operations: Operations): Promise<Stretch[]> {
  const blocks = await differentBlocks(job, operations);
  if (!blocks.some(crossesPage)) return blocks;
  const list = new ExtentList(
    Float64Array.from(blocks.flatMap(({ offset, length }) => [offset, length])),
  );
  const pages: Stretch[] = [];
  for (const batch of planBatches(list, PAGE_LIMITS)) {
    pages.push(...(await differentBlocks(job, batch.operations)));
  }
  return narrowed(blocks, pages);
}

function crossesPage({ offset, length }: Stretch): boolean {
  return (offset % PAGE) + length > PAGE;
}

/** A block none of whose pages differs any more did differ when it was looked at: it counts whole. */
function narrowed(blocks: readonly Stretch[], pages: readonly Stretch[]): Stretch[] {
  let next = 0;
  return blocks.flatMap((block) => {
    const start = next;
    const end = block.offset + block.length;
    while ((pages[next]?.offset ?? Infinity) < end) next++;
    return next === start ? [block] : pages.slice(start, next);
  });
}

async function differentBlocks(
  { source, destination }: Comparison,
  operations: Operations,
): Promise<Stretch[]> {
  // Both have ended before a failure is thrown: nothing is left under way then.
  const [ours, theirs] = await Promise.allSettled([
    source.hash(operations),
    destination.hash(operations),
  ]);
  if (ours.status === 'rejected') throw ours.reason;
  if (theirs.status === 'rejected') throw theirs.reason;
  const different: Stretch[] = [];
  for (let i = 0; i < operations.length / 3; i++) {
    const [from, to] = [i * HASH_SIZE, (i + 1) * HASH_SIZE];
    if (Buffer.compare(ours.value.subarray(from, to), theirs.value.subarray(from, to)) === 0) {
      continue;
    }
    different.push({ offset: operations[3 * i] ?? 0, length: operations[3 * i + 1] ?? 0 });
  }
  return different;
}

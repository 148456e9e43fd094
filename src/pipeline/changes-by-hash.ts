/** The blocks in which two devices differ, with what each holds at the destination: found by comparing all hashes. */

import { inOrder } from '../base/in-order.js';
import { ExtentList, planBatches } from '../device/extent.js';
import { HASH_LIMITS, HASH_SIZE } from '../stream/hash-lines.js';
import type { BlockHashes } from './block-hashes.js';
import { type DifferentBlock, differentBlocks } from './compare-hashes.js';

/** Requests under way: a long line is kept full, and memory stays bounded. */
const DEPTH = 64;

export interface ByHash {
  readonly source: BlockHashes;
  readonly destination: BlockHashes;
  /** What to compare; begins where a block does. */
  readonly extents: ExtentList;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
}

/** HASH_SIZE bytes for each different block, and 16 for each stretch of them, are kept. */
export interface ChangesByHash {
  /** Whole blocks. */
  readonly extents: ExtentList;
  /** HASH_SIZE bytes for each block of them, in order: what it holds at the destination. */
  readonly hashes: Uint8Array;
}

/** Stops early, with what was found until then, when the signal comes. */
export async function findChangesByHash(job: ByHash): Promise<ChangesByHash> {
  const { source, destination, signal, onProgress } = job;
  const found = new FoundBlocks();
  let doneBytes = 0;
  const results = inOrder(batchesOf(job), DEPTH, async ({ operations, bytes }) => ({
    blocks: await differentBlocks(source, destination, operations),
    bytes,
  }));
  for await (const { blocks, bytes } of results) {
    for (const block of blocks) found.add(block);
    doneBytes += bytes;
    onProgress(doneBytes);
    if (signal.aborted) break;
  }
  return found.take();
}

/** Always whole blocks. A limit of the rate is for data: a hash takes a thousandth of what it stands for. */
async function* batchesOf({ extents, signal }: ByHash) {
  for (const batch of planBatches(extents, HASH_LIMITS)) {
    if (signal.aborted) return;
    yield batch;
  }
}

/** Grows by doubling: of a large volume there may be very many. */
class FoundBlocks {
  #pairs = new Float64Array(1024);
  #used = 0;
  #end = -1;
  #hashes = new Uint8Array(1024 * HASH_SIZE);
  #count = 0;

  /** In ascending order. */
  add({ offset, length, hash }: DifferentBlock): void {
    if (offset === this.#end) {
      this.#pairs[this.#used - 1] = (this.#pairs[this.#used - 1] ?? 0) + length;
    } else {
      if (this.#used === this.#pairs.length) this.#pairs = grown(this.#pairs);
      this.#pairs[this.#used++] = offset;
      this.#pairs[this.#used++] = length;
    }
    this.#end = offset + length;
    if (this.#count * HASH_SIZE === this.#hashes.length) {
      this.#hashes = grown(this.#hashes);
    }
    this.#hashes.set(hash, this.#count++ * HASH_SIZE);
  }

  take(): ChangesByHash {
    return {
      extents: new ExtentList(this.#pairs.slice(0, this.#used)),
      hashes: this.#hashes.subarray(0, this.#count * HASH_SIZE),
    };
  }
}

function grown(array: Float64Array): Float64Array<ArrayBuffer>;
function grown(array: Uint8Array): Uint8Array<ArrayBuffer>;
function grown(array: Float64Array | Uint8Array): Float64Array | Uint8Array {
  const larger =
    array instanceof Float64Array
      ? new Float64Array(2 * array.length)
      : new Uint8Array(2 * array.length);
  larger.set(array);
  return larger;
}

/**
 * Blocks of a thin pool that does not zero them: before part of one is written for the first time, all
 * of it is made to read as it did, as zeros (adr/0016).
 */

import type { BlockDevice } from '../device/block-device.js';
import { PAGE } from '../device/extent.js';
import { pairsOf } from '../device/operations.js';
import { type ExtentPairs, native, type Operations, type PoolStretch } from '../host/native.js';

/** Bytes in one operation. */
const PIECE = 512 * 1024;
/** In one call; more than fit into one group of a snapback make no sense. */
const PIECES_AT_ONCE = 512;
const BYTES_AT_ONCE = 2 * 1024 * 1024;

export class NewBlocks {
  readonly #destination: BlockDevice;
  readonly #stretches: readonly PoolStretch[];
  readonly #writeZeros: (operations: Operations) => Promise<void>;
  /** For the whole run: blocks that were looked at. */
  readonly #seen = new native.ExtentSet();
  #last: Promise<void> = Promise.resolve();

  /** `writeZeros` saves what was there, then writes; all slab positions are below PIECE + PAGE. */
  constructor(
    destination: BlockDevice,
    stretches: readonly PoolStretch[],
    writeZeros: (operations: Operations) => Promise<void>,
  ) {
    this.#destination = destination;
    this.#stretches = stretches;
    this.#writeZeros = writeZeros;
  }

  /**
   * Resolves when the operations may be written. Calls take turns: a block is zeroed once, and before
   * anything else is written into it.
   */
  prepare(operations: Operations): Promise<void> {
    if (this.#stretches.length === 0) return this.#last;
    this.#last = this.#last.then(() => this.#zero(operations));
    return this.#last;
  }

  async #zero(operations: Operations): Promise<void> {
    for (const stretch of this.#stretches) {
      const partly = native.partlyCovered(operations, stretch);
      const unseen = pairsOf(this.#seen.add(toOperations(partly)));
      if (unseen.length === 0) continue;
      // Ranges that hold data are mapped; others may be, and can be written as zeros all the same.
      const data = await this.#destination.findData(unseen, 0);
      for (const batch of cut(outside(unseen, data))) await this.#writeZeros(batch);
    }
  }
}

/** Those that lie in none of the others, each of which is made of some of them. */
function outside(extents: ExtentPairs, others: ExtentPairs): number[] {
  const found: number[] = [];
  let j = 0;
  for (let i = 0; i < extents.length; i += 2) {
    const offset = extents[i] ?? 0;
    while (j < others.length && (others[j] ?? 0) + (others[j + 1] ?? 0) <= offset) j += 2;
    if ((others[j] ?? Infinity) > offset) found.push(offset, extents[i + 1] ?? 0);
  }
  return found;
}

/**
 * Pieces that begin where a block does are written in one go: a process that is killed meanwhile leaves
 * no part of a small block as it was.
 */
function* cut(extents: readonly number[]): Generator<Operations> {
  let triples: number[] = [];
  let bytes = 0;
  for (let i = 0; i < extents.length; i += 2) {
    const start = extents[i] ?? 0;
    const end = start + (extents[i + 1] ?? 0);
    for (let offset = start; offset < end; offset += PIECE) {
      const length = Math.min(PIECE, end - offset);
      triples.push(offset, length, offset % PAGE);
      bytes += length;
      if (triples.length < PIECES_AT_ONCE * 3 && bytes < BYTES_AT_ONCE) continue;
      yield Float64Array.from(triples);
      triples = [];
      bytes = 0;
    }
  }
  if (triples.length > 0) yield Float64Array.from(triples);
}

function toOperations(pairs: ExtentPairs): Operations {
  const operations = new Float64Array((pairs.length / 2) * 3);
  for (let i = 0, j = 0; i < pairs.length; i += 2, j += 3) {
    operations.set(pairs.subarray(i, i + 2), j);
  }
  return operations;
}

/** Where two devices differ that are not on one machine, by hashes: of blocks, then of the pages of those that differ. */

import { type BatchLimits, ExtentList, PAGE, planBatches } from '../device/extent.js';
import type { ExtentPairs, Operations } from '../host/native.js';
import { HASH_LIMITS, HASH_SIZE } from '../stream/hash-lines.js';
import type { BlockHashes } from './block-hashes.js';
import type { Comparer } from './compare.js';

const PAGE_LIMITS: BatchLimits = { ...HASH_LIMITS, operationBytes: PAGE, chunkSize: PAGE };

interface Stretch {
  readonly offset: number;
  readonly length: number;
}

export class HashComparer implements Comparer {
  readonly limits = HASH_LIMITS;
  /** A long line is kept full, and memory stays bounded. */
  readonly depth = 64;
  readonly #source: BlockHashes;
  readonly #destination: BlockHashes;

  constructor(source: BlockHashes, destination: BlockHashes) {
    this.#source = source;
    this.#destination = destination;
  }

  async differences(operations: Operations): Promise<ExtentPairs> {
    return toPairs(await this.#differentPages(operations));
  }

  async #differentPages(operations: Operations): Promise<Stretch[]> {
    const blocks = await this.#differentBlocks(operations);
    if (!blocks.some(crossesPage)) return blocks;
    const pages: Stretch[] = [];
    for (const batch of planBatches(new ExtentList(toPairs(blocks)), PAGE_LIMITS)) {
      pages.push(...(await this.#differentBlocks(batch.operations)));
    }
    return narrowed(blocks, pages);
  }

  #differentBlocks(operations: Operations): Promise<DifferentBlock[]> {
    return differentBlocks(this.#source, this.#destination, operations);
  }
}

/** A block that is not the same on both sides, and the hash of what it is at the destination. */
export interface DifferentBlock extends Stretch {
  readonly hash: Uint8Array;
}

/** Those of the operations, in their order. */
export async function differentBlocks(
  source: BlockHashes,
  destination: BlockHashes,
  operations: Operations,
): Promise<DifferentBlock[]> {
  // Both have ended before a failure is thrown: nothing is left under way then.
  const [ours, theirs] = await Promise.allSettled([
    source.hash(operations),
    destination.hash(operations),
  ]);
  if (ours.status === 'rejected') throw ours.reason;
  if (theirs.status === 'rejected') throw theirs.reason;
  // If a whole batch is equal, as most are, no single hash is looked at.
  if (Buffer.compare(ours.value, theirs.value) === 0) return [];
  const different: DifferentBlock[] = [];
  for (let i = 0; i < operations.length / 3; i++) {
    const [from, to] = [i * HASH_SIZE, (i + 1) * HASH_SIZE];
    const hash = theirs.value.subarray(from, to);
    if (Buffer.compare(ours.value.subarray(from, to), hash) === 0) continue;
    different.push({ offset: operations[3 * i] ?? 0, length: operations[3 * i + 1] ?? 0, hash });
  }
  return different;
}

function toPairs(stretches: readonly Stretch[]): ExtentPairs {
  return Float64Array.from(stretches.flatMap(({ offset, length }) => [offset, length]));
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

/**
 * The last stage of a local sync and of an apply: (save the former content, then) write. It counts
 * what reached the destination, so that a failure can say what state was left.
 */

import type { BlockDevice, PunchRules, Slab, SlabPool } from './block-device.js';
import { BATCH_LIMITS, type BatchLimits, ExtentList, planBatches, slabSizeFor } from './extent.js';
import { type ExtentPairs, native, type Operations } from './native.js';
import type { Snapback } from './snapback.js';

const GIB = 2 ** 30;
const WHOLE_STRETCHES: BatchLimits = { bytes: GIB, operations: 512, operationBytes: GIB };

export class WriteStage {
  readonly #destination: BlockDevice;
  readonly #snapback: Snapback | undefined;
  readonly #pool: SlabPool;
  /** Never written to. */
  #zeros: Slab | undefined;
  #writtenBytes = 0;
  #begun = false;

  constructor(destination: BlockDevice, snapback: Snapback | undefined, pool: SlabPool) {
    this.#destination = destination;
    this.#snapback = snapback;
    this.#pool = pool;
  }

  /** Bytes whose write was completed; durable only after finish. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Whether any byte of the destination may have changed. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Saves the former content of the ranges; resolves when it is durable. */
  async save(operations: Operations): Promise<void> {
    if (this.#snapback === undefined) return;
    const slab = await this.#pool.lease();
    try {
      await this.#destination.readBatch(slab, operations);
      await this.#snapback.save(slab, operations);
    } finally {
      this.#pool.release(slab);
    }
  }

  /** To be called after save has resolved for the same ranges. The slab stays the caller's. */
  async write(slab: Slab, operations: Operations): Promise<void> {
    this.#begun = true;
    await this.#destination.writeBatch(slab, operations);
    this.#count(operations);
  }

  /** Old content has to be read and saved in pieces that fit a slab; else nothing is held in memory. */
  get zeroLimits(): BatchLimits {
    return this.#snapback === undefined ? WHOLE_STRETCHES : BATCH_LIMITS;
  }

  /**
   * Makes the ranges, a batch within zeroLimits, read as zeros after saving their former content:
   * gives them back where the destination can, writes zeros where it cannot.
   */
  async writeZeros(operations: Operations, rules: PunchRules): Promise<void> {
    await this.save(operations);
    this.#begun = true;
    const left = await this.#destination.punch(toExtentPairs(operations), rules);
    for (const batch of planBatches(new ExtentList(left), BATCH_LIMITS)) {
      this.#zeros ??= native.allocateSlab(slabSizeFor(BATCH_LIMITS));
      await this.#destination.writeBatch(this.#zeros, batch.operations);
    }
    this.#count(operations);
  }

  #count(operations: Operations): void {
    for (let i = 1; i < operations.length; i += 3) this.#writtenBytes += operations[i] ?? 0;
  }

  /** Everything written becomes durable; then the snapback is marked complete. */
  async finish(): Promise<void> {
    await this.#destination.sync();
    await this.#snapback?.finish();
  }
}

function toExtentPairs(operations: Operations): ExtentPairs {
  const pairs = new Float64Array((operations.length / 3) * 2);
  for (let i = 0, j = 0; i < operations.length; i += 3) {
    pairs[j++] = operations[i] ?? 0;
    pairs[j++] = operations[i + 1] ?? 0;
  }
  return pairs;
}

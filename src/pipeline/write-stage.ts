/**
 * The last stage of a local sync and of an apply: (save the former content, then) write. It counts
 * what reached the destination, so that a failure can say what state was left.
 */

import { type BlockDevice, newSlab, type Slab, type SlabPool } from '../device/block-device.js';
import {
  BATCH_LIMITS,
  type BatchLimits,
  ExtentList,
  planBatches,
  slabSizeFor,
} from '../device/extent.js';
import { bytesOf, pairsOf } from '../device/operations.js';
import type { Operations } from '../host/native.js';
import { PLAIN_RULES, type WriteRules } from '../lvm/write-rules.js';
import { readExpected } from './expected-blocks.js';
import { NewBlocks } from './new-blocks.js';
import { PlaceSample } from './place-sample.js';
import type { Snapback } from './snapback.js';

const STRETCH = 128 * 1024 * 1024;
/** Bytes: what any block of a pool is a multiple of. */
export const SMALLEST_BLOCK = 64 * 1024;

export class WriteStage {
  readonly #destination: BlockDevice;
  readonly #snapback: Snapback | undefined;
  readonly #pool: SlabPool;
  readonly #rules: WriteRules;
  readonly #newBlocks: NewBlocks;
  readonly #announce: (() => void) | undefined;
  readonly #tick: () => void;
  readonly #sample = new PlaceSample();
  /** Never written to. */
  #zeros: Slab | undefined;
  #writtenBytes = 0;
  #begun = false;

  /**
   * `announce` is called before anything is written, and has to be durable when it returns; `tick` whenever a batch was
   * saved or written.
   */
  constructor(
    destination: BlockDevice,
    snapback: Snapback | undefined,
    pool: SlabPool,
    rules: WriteRules & {
      readonly announce?: () => void;
      readonly tick?: () => void;
    } = PLAIN_RULES,
  ) {
    this.#destination = destination;
    this.#snapback = snapback;
    this.#pool = pool;
    this.#rules = rules;
    this.#newBlocks = new NewBlocks(destination, rules.unzeroed, (operations) =>
      this.#zeroNew(operations),
    );
    this.#announce = rules.announce;
    this.#tick = rules.tick ?? ((): void => undefined);
  }

  /** Bytes whose write was completed; durable only after finish. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Some of the places that were written, in bytes. */
  get places(): readonly number[] {
    return this.#sample.offsets;
  }

  /** Whether any byte of the destination may have changed. */
  get begun(): boolean {
    return this.#begun;
  }

  /**
   * Saves the former content of the ranges; resolves when it is durable. Also behind the former end of a file: a
   * rollback cuts that off, and saves for --redo only what its links write. `expected`: as of Group. Throws
   * (destinationUnfit) where something else is there, before anything of it is saved.
   */
  async save(operations: Operations, expected?: Uint8Array): Promise<void> {
    if (this.#snapback === undefined && expected === undefined) return;
    const slab = await this.#pool.lease();
    try {
      if (expected === undefined) await this.#destination.readBatch(slab, operations);
      else await readExpected(this.#destination, slab, { operations, expected });
      await this.#snapback?.save(slab, operations);
      this.#tick();
    } finally {
      this.#pool.release(slab);
    }
  }

  /** To be called after save has resolved for the same ranges. The slab stays the caller's. */
  async write(slab: Slab, operations: Operations): Promise<void> {
    this.#begin();
    await this.#put(slab, operations);
    this.#count(operations);
  }

  async #put(slab: Slab, operations: Operations): Promise<void> {
    await this.#newBlocks.prepare(operations);
    await this.#destination.writeBatch(slab, operations);
    this.#tick();
  }

  /** Nothing there changes, but for a moment: a crash may leave in a block what the pool held before. */
  async #zeroNew(operations: Operations): Promise<void> {
    await this.#snapback?.save(this.#zeroSlab, operations);
    await this.#destination.writeBatch(this.#zeroSlab, operations);
  }

  get #zeroSlab(): Slab {
    this.#zeros ??= newSlab(slabSizeFor(BATCH_LIMITS));
    return this.#zeros;
  }

  /** Whole blocks of the destination, and not so many that who waits for a sign of life would give up. */
  get zeroLimits(): BatchLimits {
    const { granularity } = this.#rules.punch;
    const bytes = Math.max(granularity, STRETCH - (STRETCH % granularity));
    return { bytes, operations: 512, operationBytes: bytes };
  }

  /**
   * Makes the ranges, a batch within zeroLimits, read as zeros: gives them back where the destination can,
   * writes zeros where it cannot. What does not read as zeros is saved before.
   */
  async writeZeros(operations: Operations): Promise<void> {
    const extents = new ExtentList(pairsOf(operations)).clippedTo(this.#rules.dataEnd);
    if (extents.count > 0) await this.#makeZeros(extents);
    this.#count(operations);
  }

  async #makeZeros(extents: ExtentList): Promise<void> {
    const { punch } = this.#rules;
    const data = this.#snapback === undefined ? extents : await this.#findData(extents);
    for (const { operations } of planBatches(data, BATCH_LIMITS)) await this.save(operations);
    this.#begin();
    const left = new ExtentList(await this.#destination.punch(extents.pairs, punch));
    const stillData = await this.#findData(punch.discard ? data : left);
    for (const { operations } of planBatches(stillData, BATCH_LIMITS)) {
      await this.#put(this.#zeroSlab, operations);
    }
  }

  /**
   * A discard of a thin volume that succeeded may have left blocks as they were: Linux cuts it inside
   * of blocks where their size is no power of two, and dm-thin passes over those whose data are being
   * read through another volume. Reading what is unmapped costs no I/O.
   */
  async #findData(extents: ExtentList): Promise<ExtentList> {
    if (extents.count === 0) return extents;
    return new ExtentList(await this.#destination.findData(extents.pairs, SMALLEST_BLOCK));
  }

  #begin(): void {
    if (!this.#begun) this.#announce?.();
    this.#begun = true;
  }

  #count(operations: Operations): void {
    this.#sample.add(operations);
    this.#writtenBytes += bytesOf(operations);
  }

  /** Everything written becomes durable; then the snapback is marked complete. */
  async finish(): Promise<void> {
    await this.#destination.sync();
    await this.#snapback?.finish();
  }
}

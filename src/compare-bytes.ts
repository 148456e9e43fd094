/** Where two devices of this machine differ: both are read, and their bytes compared. */

import { type FileDevice, type Slab, SlabPool } from './block-device.js';
import type { Comparer } from './compare.js';
import { BATCH_LIMITS, type BatchLimits, slabSizeFor } from './extent.js';
import { type ExtentPairs, native, type Operations } from './native.js';

/** Batches of which both sides are being read or compared at once. */
const DEPTH = 4;
/** A batch waits for the slower side, so large ones: of 2 MiB each run took a fifth longer. */
const LIMITS: BatchLimits = { ...BATCH_LIMITS, bytes: 4 * 1024 * 1024 };

type Readable = Pick<FileDevice, 'readBatch'>;

export class ByteComparer implements Comparer {
  readonly limits = LIMITS;
  readonly depth = DEPTH;
  readonly #source: Readable;
  readonly #destination: Readable;
  readonly #pool = new SlabPool(2 * DEPTH, slabSizeFor(LIMITS));

  constructor(source: Readable, destination: Readable) {
    this.#source = source;
    this.#destination = destination;
  }

  async differences(operations: Operations): Promise<ExtentPairs> {
    // Two of one slab for each batch, and no more batches than pairs: nobody waits for half of them.
    const slabs = await Promise.all([this.#pool.lease(), this.#pool.lease()]);
    try {
      await this.#read(slabs, operations);
      return await native.findDifferences(...slabs, operations);
    } finally {
      for (const slab of slabs) this.#pool.release(slab);
    }
  }

  async #read([ours, theirs]: [Slab, Slab], operations: Operations): Promise<void> {
    const reads = await Promise.allSettled([
      this.#source.readBatch(ours, operations),
      this.#destination.readBatch(theirs, operations),
    ]);
    for (const read of reads) if (read.status === 'rejected') throw read.reason;
  }
}

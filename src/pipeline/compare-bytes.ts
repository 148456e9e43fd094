/** Where two devices of this machine differ: both are read, and their bytes compared. */

import { type FileDevice, SlabPool } from '../device/block-device.js';
import type { BatchLimits } from '../device/extent.js';
import type { ExtentPairs, Operations } from '../host/native.js';
import type { Comparer } from './compare.js';

/** Batches under way at once: threads that read and compare. */
const DEPTH = 6;
/** Read from both devices at once. The bytes are compared before they leave the processor's caches. */
const SCRATCH_BYTES = 4 * 1024 * 1024;

export class ByteComparer implements Comparer {
  readonly limits: BatchLimits = {
    bytes: 4 * 1024 * 1024,
    operations: 1024,
    operationBytes: 1024 * 1024,
  };
  readonly depth = DEPTH;
  readonly #source: FileDevice;
  readonly #destination: FileDevice;
  readonly #pool = new SlabPool(DEPTH, SCRATCH_BYTES);

  constructor(source: FileDevice, destination: FileDevice) {
    this.#source = source;
    this.#destination = destination;
  }

  async differences(operations: Operations): Promise<ExtentPairs> {
    const scratch = await this.#pool.lease();
    try {
      return await this.#source.compareBatch(this.#destination, scratch, operations);
    } finally {
      this.#pool.release(scratch);
    }
  }
}

/** The hashes of blocks of a device, wherever it is. */

import { type FileDevice, SlabPool } from '../device/block-device.js';
import { slabSizeFor } from '../device/extent.js';
import { type Writes, WriteWatch } from '../device/write-watch.js';
import type { Operations } from '../host/native.js';
import { HASH_LIMITS } from '../stream/hash-lines.js';

/** Requests that are being read at once. */
export const HASH_DEPTH = 4;

export interface BlockHashes {
  /** HASH_SIZE bytes for each operation, a batch within HASH_LIMITS. Slab positions may be ignored. */
  hash(operations: Operations): Promise<Uint8Array>;
}

/** A destination that is compared. Whoever opened it closes it. */
export interface HashedDestination extends BlockHashes {
  /** Bytes. */
  readonly size: number;
  /** To be called when everything was asked: what others wrote to it since it was opened. */
  finish(): Promise<Writes>;
  close(): Promise<void>;
}

/** The hashes of a device of this machine: read and hashed on threads of the addon. */
export class DeviceHashes implements BlockHashes {
  readonly #device: Pick<FileDevice, 'hashBatch'>;
  readonly #pool = new SlabPool(HASH_DEPTH, slabSizeFor(HASH_LIMITS));

  constructor(device: Pick<FileDevice, 'hashBatch'>) {
    this.#device = device;
  }

  async hash(operations: Operations): Promise<Uint8Array> {
    const slab = await this.#pool.lease();
    try {
      return await this.#device.hashBatch(slab, operations);
    } finally {
      this.#pool.release(slab);
    }
  }
}

/** `device` is open, read only, and from now on belongs to what is returned. */
export async function watchedHashes(device: FileDevice): Promise<HashedDestination> {
  const hashes = new DeviceHashes(device);
  const watch = await WriteWatch.begin(device);
  return {
    size: device.size,
    hash: (operations) => hashes.hash(operations),
    finish: async () => watch.writes(),
    close: () => device.close(),
  };
}

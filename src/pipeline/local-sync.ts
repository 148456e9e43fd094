/** Copies changed extents from one device of this machine to another, in one process. */

import { InFlight } from '../base/in-flight.js';
import type { Pace } from '../base/rate-limit.js';
import type { BlockDevice, SlabPool } from '../device/block-device.js';
import {
  BATCH_LIMITS,
  type Batch,
  type BatchLimits,
  type ExtentList,
  planBatches,
} from '../device/extent.js';
import type { WriteStage } from './write-stage.js';

/** Batches under way: enough that reads, flushes and writes overlap. */
export const LOCAL_DEPTH = 4;

export interface LocalSync {
  readonly source: BlockDevice;
  readonly extents: ExtentList;
  /** The limits of a batch: slabs hold BATCH_LIMITS. */
  readonly limits?: BatchLimits;
  /** To read as zeros, without being read from the source; disjoint from `extents`. */
  readonly zeros: ExtentList;
  readonly stage: WriteStage;
  readonly pool: SlabPool;
  /** Resolves when so many bytes may be read and written. */
  readonly pace?: Pace | undefined;
  /** Stops between batches. */
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
}

/**
 * Resolves when every byte was written, durably, or when the signal stopped it after whole batches;
 * the caller tells the two apart by the signal. Throws the first failure, after all batches under way
 * have ended.
 */
export async function localSync(sync: LocalSync): Promise<void> {
  const inFlight = new InFlight(LOCAL_DEPTH);
  try {
    for (const batch of planBatches(sync.extents, sync.limits ?? BATCH_LIMITS)) {
      if (sync.signal.aborted) break;
      await inFlight.start(() => copyBatch(sync, batch));
    }
    for (const batch of planBatches(sync.zeros, sync.stage.zeroLimits)) {
      if (sync.signal.aborted) break;
      await inFlight.start(() => zeroBatch(sync, batch));
    }
  } finally {
    await inFlight.settle();
  }
  await inFlight.finish();
}

async function zeroBatch(sync: LocalSync, { operations }: Batch): Promise<void> {
  await sync.stage.writeZeros(operations);
  sync.onProgress(sync.stage.writtenBytes);
}

async function copyBatch(sync: LocalSync, { operations, bytes }: Batch): Promise<void> {
  await sync.pace?.(bytes);
  const slab = await sync.pool.lease();
  try {
    // Both only read: the old bytes are saved while the new ones come in.
    const results = await Promise.allSettled([
      sync.source.readBatch(slab, operations),
      sync.stage.save(operations),
    ]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    await sync.stage.write(slab, operations);
    sync.onProgress(sync.stage.writtenBytes);
  } finally {
    sync.pool.release(slab);
  }
}

/** How fast a device can be read: by reading a part of it, for a bounded time. */

import { type BlockDevice, SlabPool } from './block-device.js';
import {
  BATCH_LIMITS,
  type BatchLimits,
  type ExtentList,
  planBatches,
  slabSizeFor,
} from './extent.js';
import { InFlight } from './in-flight.js';

export interface Measurement {
  readonly bytes: number;
  readonly seconds: number;
}

export interface MeasuringRules {
  /** No read is begun after so many milliseconds. */
  readonly milliseconds: number;
  /** Batches being read at once. */
  readonly depth: number;
  readonly limits?: BatchLimits;
  readonly signal: AbortSignal;
}

/** Reads the extents in order, as a run does, until the end of them or of the time. */
export async function measureReading(
  device: Pick<BlockDevice, 'readBatch'>,
  extents: ExtentList,
  { milliseconds, depth, limits = BATCH_LIMITS, signal }: MeasuringRules,
): Promise<Measurement> {
  const pool = new SlabPool(depth, slabSizeFor(limits));
  const inFlight = new InFlight(depth);
  const started = performance.now();
  let bytes = 0;
  try {
    for (const batch of planBatches(extents, limits)) {
      if (signal.aborted || performance.now() - started >= milliseconds) break;
      await inFlight.start(async () => {
        const slab = await pool.lease();
        await device.readBatch(slab, batch.operations);
        bytes += batch.bytes;
        pool.release(slab);
      });
    }
  } finally {
    await inFlight.settle();
  }
  await inFlight.finish();
  return { bytes, seconds: (performance.now() - started) / 1000 };
}

/** How fast a device can be read: by reading a part of it, for a bounded time. */

import { InFlight } from '../base/in-flight.js';
import { type BlockDevice, SlabPool } from './block-device.js';
import type { Batch } from './extent.js';

export interface Measurement {
  readonly bytes: number;
  readonly seconds: number;
}

export interface MeasuringRules {
  /** Room for any of the batches. Bytes. */
  readonly slabSize: number;
  /** No read is begun after so many milliseconds. */
  readonly milliseconds: number;
  /** Batches being read at once. */
  readonly depth: number;
  readonly signal: AbortSignal;
}

/** Reads the batches in order, as a run does, until the end of them or of the time. */
export async function measureReading(
  device: Pick<BlockDevice, 'readBatch'>,
  batches: Iterable<Batch>,
  { slabSize, milliseconds, depth, signal }: MeasuringRules,
): Promise<Measurement> {
  const pool = new SlabPool(depth, slabSize);
  const inFlight = new InFlight(depth);
  const started = performance.now();
  let bytes = 0;
  try {
    for (const batch of batches) {
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

/** Reads changed extents and writes them, in order, as a change stream. */

import type { BlockDevice, Slab, SlabPool } from '../device/block-device.js';
import { type Batch, type BatchLimits, type ExtentList, planBatches } from '../device/extent.js';
import type { Operations } from '../host/native.js';

/** Batches being read ahead of the one that is being written. */
export const DUMP_DEPTH = 4;

/** Where the groups go. The slab may be used again when it resolves. */
export interface GroupSink {
  writeGroup(slab: Slab, operations: Operations): Promise<void>;
}

export interface Dump {
  readonly source: BlockDevice;
  readonly extents: ExtentList;
  readonly limits: BatchLimits;
  readonly writer: GroupSink;
  readonly pool: SlabPool;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
}

interface ReadBatch {
  readonly slab: Slab;
  readonly batch: Batch;
  readonly read: Promise<void>;
}

/**
 * Writes the groups; the handshake before and the END after them are the caller's. A failure of the
 * source is an LvmsyncError, one of the stream the addon's error.
 */
export async function dump(job: Dump): Promise<void> {
  const ahead: ReadBatch[] = [];
  let doneBytes = 0;
  const writeOldest = async (): Promise<void> => {
    const oldest = ahead.shift();
    if (oldest === undefined) return;
    try {
      await oldest.read;
      await job.writer.writeGroup(oldest.slab, oldest.batch.operations);
    } finally {
      job.pool.release(oldest.slab);
    }
    doneBytes += oldest.batch.bytes;
    job.onProgress(doneBytes);
  };
  try {
    for (const batch of planBatches(job.extents, job.limits)) {
      if (job.signal.aborted) break;
      if (ahead.length === DUMP_DEPTH) await writeOldest();
      ahead.push(await startRead(job, batch));
    }
    while (ahead.length > 0 && !job.signal.aborted) await writeOldest();
  } finally {
    await Promise.allSettled(ahead.map(({ read }) => read));
    for (const { slab } of ahead) job.pool.release(slab);
  }
}

async function startRead(job: Dump, batch: Batch): Promise<ReadBatch> {
  const slab = await job.pool.lease();
  const read = job.source.readBatch(slab, batch.operations);
  // It is awaited when its turn comes; until then a failure must not count as unhandled.
  read.catch(() => undefined);
  return { slab, batch, read };
}

/** Writes the groups of a change stream to a device. */

import { LvmsyncError } from '../base/errors.js';
import { InFlight } from '../base/in-flight.js';
import type { Slab, SlabPool } from '../device/block-device.js';
import { ExtentList, planBatches } from '../device/extent.js';
import { bytesOf, endOf, forEachOperation } from '../device/operations.js';
import type { ChangeReader } from '../stream/change-reader.js';
import type { Group } from '../stream/change-stream.js';
import type { WriteStage } from './write-stage.js';

/** Groups being saved and written while the next one is read. */
export const APPLY_DEPTH = 4;

export interface Apply {
  readonly reader: ChangeReader;
  readonly stage: WriteStage;
  readonly pool: SlabPool;
  /** Bytes; what lies beyond is left out. */
  readonly destinationSize: number;
  /** The stream names no place twice: its groups may be written in any order. */
  readonly disjoint: boolean;
  /** Called once, when the first group has come, before anything of it is saved or written. */
  readonly onFirstGroup?: () => Promise<void>;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
}

/**
 * Resolves with the bytes left out when the stream ended properly, or when the signal stopped
 * it between groups; the caller tells the two apart by the signal. Throws the first failure, after all
 * groups under way have ended.
 */
export async function apply(job: Apply): Promise<number> {
  const inFlight = new InFlight(job.disjoint ? APPLY_DEPTH : 1);
  const stop = (): void => job.reader.cancel();
  job.signal.addEventListener('abort', stop);
  let leftOut = 0;
  let begin = job.onFirstGroup;
  try {
    while (!job.signal.aborted) {
      const read = await readGroup(job);
      if (read === undefined) break;
      const fitting = clip(read.group, job.destinationSize);
      leftOut += read.group.bytes - fitting.bytes;
      try {
        await begin?.();
        begin = undefined;
        await inFlight.start(() => writeGroup(job, read.slab, fitting));
      } catch (error) {
        // It did not start, so it will not release the slab.
        job.pool.release(read.slab);
        throw error;
      }
    }
  } finally {
    job.signal.removeEventListener('abort', stop);
    await inFlight.settle();
  }
  await inFlight.finish();
  return leftOut;
}

interface ReadGroup {
  /** The caller's to release. */
  readonly slab: Slab;
  readonly group: Group;
}

async function readGroup(job: Apply): Promise<ReadGroup | undefined> {
  const slab = await job.pool.lease();
  try {
    const group = await job.reader.next(slab);
    if (group !== undefined) return { slab, group };
  } catch (error) {
    job.pool.release(slab);
    if (job.signal.aborted) return undefined;
    throw error;
  }
  job.pool.release(slab);
  return undefined;
}

async function writeGroup(job: Apply, slab: Slab, group: Group): Promise<void> {
  const { operations, discards, expected } = group;
  try {
    await job.stage.save(operations, expected);
    await job.stage.write(slab, operations);
  } finally {
    job.pool.release(slab);
  }
  const zeros = new ExtentList(discards).clippedTo(job.destinationSize);
  for (const batch of planBatches(zeros, job.stage.zeroLimits)) {
    await job.stage.writeZeros(batch.operations);
    job.onProgress(job.stage.writtenBytes);
  }
  job.onProgress(job.stage.writtenBytes);
}

/** Without what lies beyond `size`. */
function clip(group: Group, size: number): Group {
  const { operations, discards } = group;
  if (endOf(operations) <= size) return group;
  if (group.expected !== undefined) {
    throw new LvmsyncError(
      'streamCorrupt',
      'the change stream names hashes of blocks beyond the end',
    );
  }
  const kept: number[] = [];
  forEachOperation(operations, (offset, length, position) => {
    if (offset < size) kept.push(offset, Math.min(length, size - offset), position);
  });
  const clipped = Float64Array.from(kept);
  return { operations: clipped, discards, bytes: bytesOf(clipped) };
}

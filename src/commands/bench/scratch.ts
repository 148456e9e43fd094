/** How fast a file system can be written: through a file of its own, which is removed again. */

import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, rmSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { reasonOf } from '../../base/errno.js';
import { LvmsyncError, UNTOUCHED } from '../../base/errors.js';
import { FileDevice, newSlab } from '../../device/block-device.js';
import { type Batch, type BatchLimits, ExtentList, planBatches } from '../../device/extent.js';
import { interrupted } from '../../run/interruption.js';
import { randomBatches } from './reads.js';
import type { BenchRow } from './report.js';
import { resumable, SAMPLES, type Sample, takeSamples } from './samples.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const LARGEST = 1024 * MIB;
/** The share of the free space that it may take. */
const LARGEST_SHARE = 0.25;
const MILLISECONDS = 1500;

/** Sequential first: that gives the file its blocks. Flushed, and the flush counts. */
const MANNERS = [
  { order: 'sequential', requestSize: MIB, requests: 2 },
  { order: 'random', requestSize: 64 * KIB, requests: 32 },
] as const;

/** Throws (destinationUnfit) where there is such a file, or none can be made there. */
export async function* measureScratch(
  path: string,
  signal: AbortSignal,
): AsyncGenerator<BenchRow, void> {
  create(path);
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    const size = Math.min(LARGEST, Math.floor((bavail * bsize * LARGEST_SHARE) / MIB) * MIB);
    if (size === 0) {
      throw new LvmsyncError('destinationUnfit', `${path}: less than 4 MiB is free there`);
    }
    yield* measureFile(path, size, signal);
  } finally {
    rmSync(path, { force: true });
  }
}

/** Before anything is measured. Throws (destinationUnfit). */
export function checkScratch(path: string): void {
  create(path);
  rmSync(path);
}

function create(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (cause) {
    const code = reasonOf(cause);
    const why = code === 'EEXIST' ? 'it already exists' : `it cannot be created (${code})`;
    throw new LvmsyncError('destinationUnfit', `${path}: ${why}`, {
      ...UNTOUCHED,
      hint: 'Name a new file in a directory that can be written.',
      cause,
    });
  }
}

async function* measureFile(
  path: string,
  size: number,
  signal: AbortSignal,
): AsyncGenerator<BenchRow, void> {
  const device = await FileDevice.open(path, { role: 'destination', write: true });
  try {
    const direct = device.info.directError === null;
    let written = size;
    for (const { order, requestSize, requests } of MANNERS) {
      const limits = {
        bytes: requests * requestSize,
        operations: requests,
        operationBytes: requestSize,
      };
      const area = new ExtentList(Float64Array.of(0, written));
      const batches = resumable(batchesOf(order, area, limits));
      let bytes = 0;
      const rate = await takeSamples(async () => {
        const sample = await measureWriting(device, batches, signal);
        bytes += sample.bytes;
        return sample;
      });
      if (signal.aborted) throw interrupted(signal);
      if (order === 'sequential') written = bytes;
      yield { what: 'write', ...rate, requestSize, order, direct };
    }
  } finally {
    await device.close();
  }
}

function batchesOf(
  order: 'sequential' | 'random',
  area: ExtentList,
  limits: BatchLimits,
): Iterable<Batch> {
  return order === 'sequential'
    ? planBatches(area, limits)
    : randomBatches(area, limits, Math.random);
}

async function measureWriting(
  device: FileDevice,
  batches: Iterable<Batch>,
  signal: AbortSignal,
): Promise<Sample> {
  const slab = newSlab(4 * MIB);
  randomFillSync(new Uint8Array(slab));
  const started = performance.now();
  let bytes = 0;
  for (const batch of batches) {
    if (signal.aborted || performance.now() - started >= MILLISECONDS / SAMPLES) break;
    await device.writeBatch(slab, batch.operations);
    bytes += batch.bytes;
  }
  await device.sync();
  return { bytes, seconds: (performance.now() - started) / 1000 };
}

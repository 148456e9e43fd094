/** The speed of this host's processor with a stream: framing with hashes, and LZ4. */

import { randomFillSync } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { newSlab } from '../../device/block-device.js';
import { native } from '../../host/native.js';
import { newStreamId } from '../../stream/change-writer.js';
import { compressGroup } from '../../stream/lz4.js';
import type { BenchRow } from './report.js';
import { SAMPLES, type Sample, takeSamples } from './samples.js';

const MILLISECONDS = 600;
const GROUP = 2 * 1024 * 1024;
const RECORD = 64 * 1024;

/** Makes groups of a stream that goes nowhere, as a run does before it writes them. */
export async function measureHash(): Promise<BenchRow> {
  const slab = newSlab(GROUP);
  randomFillSync(new Uint8Array(slab));
  const records = Array.from({ length: GROUP / RECORD }, (_, i) => [
    i * RECORD,
    RECORD,
    i * RECORD,
  ]);
  const operations = Float64Array.from(records.flat());
  const nowhere = openSync('/dev/null', 'r');
  try {
    const writer = new native.RecordWriter(nowhere, newStreamId());
    const encode = async (): Promise<number> => {
      await writer.encodeGroup(slab, operations, true, -1);
      return GROUP;
    };
    return { what: 'hash', ...(await takeSamples(() => work(encode, 1))) };
  } finally {
    closeSync(nowhere);
  }
}

/** Compresses real data as a run would. Throws (usage) where the package is not installed. */
export async function measureLz4(sample: readonly Uint8Array[]): Promise<BenchRow> {
  let before = 0;
  let after = 0;
  let next = 0;
  const compress = async (): Promise<number> => {
    const bytes = sample[next++ % sample.length] ?? new Uint8Array();
    const pieces = await compressGroup(bytes);
    before += bytes.length;
    for (const piece of pieces) after += piece.length;
    return bytes.length;
  };
  const rate = await takeSamples(() => work(compress, 2));
  return { what: 'lz4', ...rate, ratio: before / after };
}

/** What is done, and resolves with its bytes, again and again, so many at once. */
async function work(task: () => Promise<number>, depth: number): Promise<Sample> {
  // The first is slower: what it needs is loaded then.
  await task();
  const started = performance.now();
  let bytes = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - started < MILLISECONDS / SAMPLES) bytes += await task();
  };
  await Promise.all(Array.from({ length: depth }, worker));
  return { bytes, seconds: (performance.now() - started) / 1000 };
}

/** How fast a source can be read, by the size of requests and their order; and a sample of what it holds. */

import { type FileDevice, SlabPool } from '../../device/block-device.js';
import {
  BATCH_LIMITS,
  type Batch,
  type BatchLimits,
  ExtentList,
  planBatches,
  slabSizeFor,
} from '../../device/extent.js';
import { difference } from '../../device/extent-sets.js';
import { measureReading } from '../../device/read-speed.js';
import { LOCAL_DEPTH } from '../../pipeline/local-sync.js';
import { interrupted } from '../../run/interruption.js';
import type { Source } from '../../source/source.js';
import type { BenchRow } from './report.js';
import { resumable, SAMPLES, takeSamples } from './samples.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const REQUEST_SIZES = [4 * KIB, 64 * KIB, MIB];
const MILLISECONDS = 600;
/** Requests in a batch where a run would have more: several batches are read at once. */
const REQUESTS = 32;
/** With fewer changes only a cache would be measured: all of the device is taken. Bytes. */
const LEAST_AREA = 64 * MIB;

/** What a run would read, if that is enough to measure anything. */
export function areaOf({
  device,
  extents,
  zeros,
}: Pick<Source, 'device' | 'extents' | 'zeros'>): ExtentList {
  const data = difference(extents, zeros);
  return data.totalBytes >= LEAST_AREA || device.size === 0 ? data : allOf(device.size);
}

function allOf(size: number): ExtentList {
  return new ExtentList(Float64Array.of(0, size));
}

/** Each row as soon as it is measured. Nothing for an empty area. */
export async function* measureReads(
  device: FileDevice,
  area: ExtentList,
  signal: AbortSignal,
): AsyncGenerator<BenchRow, void> {
  if (area.count === 0) return;
  const direct = device.info.directError === null;
  for (const order of ['sequential', 'random'] as const) {
    for (const requestSize of REQUEST_SIZES) {
      const limits = limitsFor(requestSize);
      const batches = resumable(
        order === 'sequential'
          ? planBatches(area, limits)
          : randomBatches(area, limits, Math.random),
      );
      const rules = {
        ...{ slabSize: slabSizeFor(limits), milliseconds: MILLISECONDS / SAMPLES },
        ...{ depth: LOCAL_DEPTH, signal },
      };
      const rate = await takeSamples(() => measureReading(device, batches, rules));
      if (signal.aborted) throw interrupted(signal);
      yield { what: 'read', ...rate, requestSize, order, direct };
    }
  }
}

function limitsFor(requestSize: number): BatchLimits {
  const bytes = Math.min(BATCH_LIMITS.bytes, REQUESTS * requestSize);
  return { bytes, operations: Math.ceil(bytes / requestSize), operationBytes: requestSize };
}

/** Without an end: requests at places of the area, each as likely. Places are multiples of the request. */
export function* randomBatches(
  area: ExtentList,
  { operations: count, operationBytes }: Pick<BatchLimits, 'operations' | 'operationBytes'>,
  random: () => number,
): Generator<Batch, void> {
  const places = new Places(area);
  for (;;) {
    const operations = new Float64Array(3 * count);
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const { offset, length } = places.pick(random(), operationBytes);
      operations.set([offset, length, i * operationBytes], 3 * i);
      bytes += length;
    }
    yield { operations, bytes };
  }
}

class Places {
  readonly #pairs: Float64Array;
  /** Bytes of the area before each extent. */
  readonly #before: Float64Array;
  readonly #totalBytes: number;
  readonly #end: number;

  constructor({ pairs, count, totalBytes, end }: ExtentList) {
    this.#pairs = pairs;
    this.#totalBytes = totalBytes;
    this.#end = end;
    this.#before = new Float64Array(count);
    for (let i = 1; i < count; i++) {
      this.#before[i] = (this.#before[i - 1] ?? 0) + (pairs[2 * i - 1] ?? 0);
    }
  }

  /** `share` from 0 to below 1. A request may reach beyond its extent, never beyond the area's end. */
  pick(share: number, size: number): { readonly offset: number; readonly length: number } {
    const position = Math.floor(share * this.#totalBytes);
    const i = this.#extentAt(position);
    const at = (this.#pairs[2 * i] ?? 0) + position - (this.#before[i] ?? 0);
    const offset = at - (at % size);
    return { offset, length: Math.min(size, this.#end - offset) };
  }

  /** The last that begins at or before it. */
  #extentAt(position: number): number {
    let low = 0;
    let high = this.#before.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#before[middle] ?? 0) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

const SAMPLE_PIECES = 32;

/** Real data from all over the area, at most 32 MiB. */
export async function readSample(device: FileDevice, area: ExtentList): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  const limits = { operations: 1, operationBytes: MIB };
  const pool = new SlabPool(SAMPLE_PIECES, slabSizeFor({ ...limits, bytes: MIB }));
  let next = 0;
  const evenly = (): number => next / SAMPLE_PIECES;
  for (const { operations, bytes } of area.count === 0 ? [] : randomBatches(area, limits, evenly)) {
    if (next === SAMPLE_PIECES) break;
    next++;
    const slab = await pool.lease();
    await device.readBatch(slab, operations);
    pieces.push(new Uint8Array(slab, 0, bytes));
  }
  return pieces;
}

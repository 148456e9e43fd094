/** Lists of changes in the two forms that runs take them in: a COW store, and plain pairs for the limit. */

import { writeFileSync } from 'node:fs';
import { writeCowStore } from '../test/helpers/devices/cow-store.js';

const KIB = 1024;

export interface Shape {
  readonly name: string;
  /** Bytes. */
  readonly chunkSize: number;
  /** How many chunks of every `every` have changed, each time the first of them. */
  readonly every: number;
}

export const SCATTERED_4K: Shape = { name: '4 KiB scattered', chunkSize: 4 * KIB, every: 2 };
export const SCATTERED_64K: Shape = { name: '64 KiB scattered', chunkSize: 64 * KIB, every: 2 };
export const SEQUENTIAL: Shape = { name: 'sequential', chunkSize: 64 * KIB, every: 1 };

export interface ChangeList {
  readonly shape: Shape;
  readonly bytes: number;
  readonly cowStore: string;
  /** For limit_copy. */
  readonly extents: string;
  /** Some of the chunks, as offsets, and as a file for limit_copy. */
  readonly samples: readonly number[];
  readonly sampleExtents: string;
}

/** How many places of a result are looked at. */
const SAMPLES = 1000;

/** The changes of the first `size` bytes of a device, in two files whose names begin with `path`. */
export function writeChangeList(path: string, shape: Shape, size: number): ChangeList {
  const { chunkSize, every } = shape;
  const count = Math.floor(size / chunkSize / every);
  const chunks = Array.from({ length: count }, (_, index) => index * every);
  const [cowStore, extents, sampleExtents] = [`${path}.cow`, `${path}.extents`, `${path}.samples`];
  // The kernel notes chunks in the order in which they are written to, which is seldom theirs.
  const oldChunks = shuffled(chunks);
  writeCowStore(cowStore, { chunkSize, oldChunks: every === 1 ? chunks : oldChunks });
  const offsets = chunks.map((chunk) => chunk * chunkSize);
  if (every === 1) writePairs(extents, [0], count * chunkSize);
  else writePairs(extents, offsets, chunkSize);
  const samples = oldChunks.slice(0, SAMPLES).map((chunk) => chunk * chunkSize);
  writePairs(sampleExtents, samples, chunkSize);
  return { shape, bytes: count * chunkSize, cowStore, extents, samples, sampleExtents };
}

function writePairs(path: string, offsets: readonly number[], length: number): void {
  const pairs = offsets.flatMap((offset) => [BigInt(offset), BigInt(length)]);
  writeFileSync(path, BigUint64Array.from(pairs));
}

/** Always the same order: runs on different days are compared. */
function shuffled(values: readonly number[]): number[] {
  const result = [...values];
  let state = 1;
  for (let i = result.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = state % (i + 1);
    const [a = 0, b = 0] = [result[i], result[j]];
    result[i] = b;
    result[j] = a;
  }
  return result;
}

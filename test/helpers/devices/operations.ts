/** Lists of operations, taken apart for comparison. */

import type { Operations } from '../../../src/host/native.js';

/** Pairs offset, length in bytes. */
export type Extents = readonly (readonly [offset: number, length: number])[];

export function extentsOf(operations: Operations): Extents {
  const extents: [number, number][] = [];
  for (let i = 0; i < operations.length; i += 3) {
    extents.push([operations[i] ?? 0, operations[i + 1] ?? 0]);
  }
  return extents;
}

/** In ascending order, neighbours joined. */
export function joined(extents: Extents): Extents {
  const result: [number, number][] = [];
  for (const [offset, length] of [...extents].sort(([a], [b]) => a - b)) {
    const last = result.at(-1);
    if (last !== undefined && last[0] + last[1] === offset) last[1] += length;
    else result.push([offset, length]);
  }
  return result;
}

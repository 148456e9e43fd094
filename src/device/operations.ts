/**
 * Operations are triples offset, length, slabPosition; extents are pairs offset, length: flat arrays of bytes, which
 * cross into the addon without a copy. Walked here, so that no index is computed elsewhere. Pure.
 */

export function forEachOperation(
  operations: ArrayLike<number>,
  visit: (offset: number, length: number, position: number) => void,
): void {
  for (let i = 0; i < operations.length; i += 3) {
    visit(operations[i] ?? 0, operations[i + 1] ?? 0, operations[i + 2] ?? 0);
  }
}

export function forEachExtent(
  pairs: ArrayLike<number>,
  visit: (offset: number, length: number) => void,
): void {
  for (let i = 0; i < pairs.length; i += 2) visit(pairs[i] ?? 0, pairs[i + 1] ?? 0);
}

/** The sum of all lengths. */
export function bytesOf(operations: Float64Array): number {
  let bytes = 0;
  forEachOperation(operations, (_, length) => {
    bytes += length;
  });
  return bytes;
}

/** One past the last byte named, in any order; 0 for none. */
export function endOf(operations: Float64Array): number {
  let end = 0;
  forEachOperation(operations, (offset, length) => {
    end = Math.max(end, offset + length);
  });
  return end;
}

/** Where they are on the device: pairs offset, length. */
export function pairsOf(operations: Float64Array): Float64Array {
  const pairs = new Float64Array((operations.length / 3) * 2);
  let used = 0;
  forEachOperation(operations, (offset, length) => {
    pairs[used++] = offset;
    pairs[used++] = length;
  });
  return pairs;
}

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ExtentList, NO_EXTENTS } from '../../../src/device/extent.js';
import { type Blocks, difference, union, widen, within } from '../../../src/device/extent-sets.js';

const BITS = 60;
const UNIT = 4096;

/** Which units of the list are in the set; a list may touch itself, as in [0, 1) and [1, 2). */
const lists = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 1, max: 5 })), {
    maxLength: 12,
  })
  .map((steps) => {
    const pairs: number[] = [];
    let at = 0;
    for (const [gap, length] of steps) {
      at += gap;
      if (at + length > BITS) break;
      pairs.push(at * UNIT, length * UNIT);
      at += length;
    }
    return new ExtentList(Float64Array.from(pairs));
  });

function bitmap({ pairs }: ExtentList): boolean[] {
  const bits = Array.from({ length: BITS }, () => false);
  for (let i = 0; i < pairs.length; i += 2) {
    const start = (pairs[i] ?? 0) / UNIT;
    bits.fill(true, start, start + (pairs[i + 1] ?? 0) / UNIT);
  }
  return bits;
}

/** No extent touches the next: a list that is built anew is as short as can be. */
function assertJoined({ pairs }: ExtentList): void {
  for (let i = 2; i < pairs.length; i += 2) {
    assert.ok((pairs[i] ?? 0) > (pairs[i - 2] ?? 0) + (pairs[i - 1] ?? 0), `${pairs}`);
  }
}

const OPERATIONS = [
  ['union', union, (a: boolean, b: boolean) => a || b],
  ['difference', difference, (a: boolean, b: boolean) => a && !b],
] as const;

for (const [name, operation, model] of OPERATIONS) {
  describe(name, () => {
    test('agrees with the same on bitmaps', () => {
      fc.assert(
        fc.property(lists, lists, (a, b) => {
          const result = operation(a, b);
          const [left, right] = [bitmap(a), bitmap(b)];
          const wanted = left.map((bit, i) => model(bit, right[i] ?? false));
          assert.deepEqual(bitmap(result), wanted);
          assert.equal(result.totalBytes, wanted.filter(Boolean).length * UNIT);
          if (a.count > 0 && b.count > 0) assertJoined(result);
        }),
        { numRuns: 2000 },
      );
    });

    test('with nothing leaves a list as it is', () => {
      const list = new ExtentList(Float64Array.of(8, 4, 20, 1));
      assert.deepEqual([...operation(list, NO_EXTENTS).pairs], [...list.pairs]);
    });
  });
}

describe('the edges', () => {
  const rows: readonly (readonly [string, ExtentList, readonly number[]])[] = [
    ['union of extents that touch', union(list(0, 4), list(4, 4)), [0, 8]],
    ['union of one within the other', union(list(0, 9), list(2, 3)), [0, 9]],
    ['difference of itself', difference(list(0, 4, 9, 1), list(0, 4, 9, 1)), []],
    ['difference that cuts a hole', difference(list(0, 10), list(3, 4)), [0, 3, 7, 3]],
    ['difference over several', difference(list(0, 4, 6, 4), list(2, 6)), [0, 2, 8, 2]],
    ['beyond 2^32', union(list(2 ** 40, 8), list(2 ** 50, 8)), [2 ** 40, 8, 2 ** 50, 8]],
    ['union of nothing with one', union(NO_EXTENTS, list(3, 3)), [3, 3]],
    ['difference from nothing', difference(NO_EXTENTS, list(3, 3)), []],
  ];
  for (const [what, result, wanted] of rows) {
    test(what, () => assert.deepEqual([...result.pairs], wanted));
  }
});

function list(...pairs: number[]): ExtentList {
  return new ExtentList(Float64Array.from(pairs));
}

describe('within', () => {
  test('agrees with the same on bitmaps, and cuts only at the two places', () => {
    const place = fc.integer({ min: 0, max: BITS });
    fc.assert(
      fc.property(lists, place, place, (list, one, other) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        const result = within(list, start * UNIT, end * UNIT);
        assert.deepEqual(
          bitmap(result),
          bitmap(list).map((bit, i) => bit && i >= start && i < end),
        );
        const rest = [within(list, 0, start * UNIT), result, within(list, end * UNIT, Infinity)];
        const count = rest.reduce((sum, part) => sum + part.count, 0);
        assert.ok(count <= list.count + 2, `${count} of ${list.count}`);
      }),
      { numRuns: 2000 },
    );
  });

  test('shares the memory of the list where nothing is cut', () => {
    const list = new ExtentList(Float64Array.of(0, 10, 20, 10, 40, 10));
    assert.equal(within(list, 15, 35).pairs.buffer, list.pairs.buffer);
    assert.deepEqual([...within(list, 5, 45).pairs], [5, 5, 20, 10, 40, 5]);
    assert.deepEqual([...list.pairs], [0, 10, 20, 10, 40, 10]);
  });
});

describe('widen', () => {
  test('takes all of each block that the list touches, in its stretch only', () => {
    const place = fc.integer({ min: 0, max: BITS });
    const block = fc.integer({ min: 1, max: 7 });
    fc.assert(
      fc.property(lists, place, place, block, fc.nat(6), (list, one, other, size, offset) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        const shift = offset % size;
        const blocks = { start, end, blockSize: size, shift };
        const bits = bitmap(list);
        const blockOf = (i: number): number => Math.floor((i + shift) / size);
        const lies = (i: number): boolean => i >= start && i < end;
        const touched = new Set(bits.flatMap((bit, i) => (bit && lies(i) ? [blockOf(i)] : [])));
        const wanted = bits.map((bit, i) => bit || (lies(i) && touched.has(blockOf(i))));
        const inBytes = Object.fromEntries(
          Object.entries(blocks).map(([name, units]) => [name, units * UNIT]),
        ) as unknown as Blocks;
        assert.deepEqual(bitmap(widen(list, inBytes)), wanted);
      }),
      { numRuns: 2000 },
    );
  });
});

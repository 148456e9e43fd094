import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BATCH_LIMITS,
  type BatchLimits,
  classicLimits,
  ExtentList,
  limitsAmong,
  PAGE,
  planBatches,
  regroup,
  slabSizeFor,
} from '../../../src/device/extent.js';
import { type Extents, extentsOf, joined } from '../../helpers/devices/operations.js';

const KiB = 1024;

function listOf(extents: Extents): ExtentList {
  return new ExtentList(Float64Array.from(extents.flat()));
}

/** Ascending, disjoint: gaps and lengths, in units that are sometimes pages and sometimes bytes. */
const someExtents = fc
  .tuple(
    fc.constantFrom(1, 512, PAGE),
    fc.array(
      fc.tuple(fc.nat(300), fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(1, 64, 999))),
      { maxLength: 40 },
    ),
  )
  .map(([unit, steps]) => {
    let end = 0;
    return steps.map(([gap, length]): [number, number] => {
      const offset = end + gap * unit;
      end = offset + length * unit;
      return [offset, length * unit];
    });
  });

const someLimits: fc.Arbitrary<BatchLimits> = fc.record({
  bytes: fc.integer({ min: 1, max: 64 }).map((pages) => pages * PAGE),
  operations: fc.integer({ min: 1, max: 20 }),
  operationBytes: fc.integer({ min: 1, max: 32 }).map((pages) => pages * PAGE),
  chunkSize: fc.constantFrom(undefined, 512, 3 * 512, PAGE, 8 * PAGE),
});

interface Planned {
  readonly offset: number;
  readonly length: number;
  readonly position: number;
}

function plan(extents: Extents, limits: BatchLimits): Planned[][] {
  return [...planBatches(listOf(extents), limits)].map(({ operations, bytes }) => {
    const planned: Planned[] = [];
    for (let i = 0; i < operations.length; i += 3) {
      const [offset = 0, length = 0, position = 0] = operations.subarray(i, i + 3);
      planned.push({ offset, length, position });
    }
    assert.equal(
      bytes,
      planned.reduce((sum, { length }) => sum + length, 0),
    );
    return planned;
  });
}

test('batches hold every byte of the list exactly once, in ascending order', () => {
  fc.assert(
    fc.property(someExtents, someLimits, (extents, limits) => {
      const planned = plan(extents, limits).flat();
      for (const [i, { offset }] of planned.entries()) {
        const before = planned[i - 1];
        if (before !== undefined) assert.ok(offset >= before.offset + before.length);
      }
      const all = planned.map(({ offset, length }): [number, number] => [offset, length]);
      assert.deepEqual(joined(all), joined(extents));
    }),
  );
});

test('batches keep within their limits, and none is empty', () => {
  fc.assert(
    fc.property(someExtents, someLimits, (extents, limits) => {
      for (const batch of plan(extents, limits)) {
        assert.ok(batch.length > 0 && batch.length <= limits.operations);
        assert.ok(batch.reduce((sum, { length }) => sum + length, 0) <= limits.bytes);
        for (const { length } of batch) {
          assert.ok(length > 0 && length <= limits.operationBytes);
        }
      }
    }),
  );
});

test('slab positions agree with offsets within a page, do not overlap, and lie in the slab', () => {
  fc.assert(
    fc.property(someExtents, someLimits, (extents, limits) => {
      for (const batch of plan(extents, limits)) {
        let end = 0;
        for (const { offset, length, position } of batch) {
          assert.equal(position % PAGE, offset % PAGE);
          assert.ok(position >= end);
          end = position + length;
        }
        assert.ok(end <= slabSizeFor(limits));
      }
    }),
  );
});

test('a chunk size cuts at its multiples and nowhere else, as long as a batch has room', () => {
  fc.assert(
    fc.property(someExtents, fc.constantFrom(512, PAGE, 8 * PAGE), (extents, chunkSize) => {
      const limits = { bytes: 64 * PAGE, operations: 20, operationBytes: 8 * PAGE, chunkSize };
      for (const { offset, length } of plan(extents, limits).flat()) {
        assert.equal(
          Math.floor(offset / chunkSize),
          Math.floor((offset + length - 1) / chunkSize),
          `${offset}+${length} crosses a multiple of ${chunkSize}`,
        );
      }
    }),
  );
});

test('extents of whole pages are cut at whole pages', () => {
  const extents = [[PAGE, 5000 * PAGE]] as const;
  for (const { offset, length } of plan(extents, BATCH_LIMITS).flat()) {
    assert.deepEqual([offset % PAGE, length % PAGE], [0, 0]);
  }
});

test('a batch of the usual limits and the most operations fits the usual slab', () => {
  // Each operation needs nearly a page to agree with its offset.
  const extents = Array.from({ length: 2000 }, (_, i): [number, number] => [i * 8192 + 4095, 4095]);
  const batches = plan(extents, BATCH_LIMITS);
  assert.ok(batches.some((batch) => batch.length === BATCH_LIMITS.operations));
  for (const batch of batches) {
    const { position = 0, length = 0 } = batch.at(-1) ?? {};
    assert.ok(position + length <= slabSizeFor(BATCH_LIMITS));
  }
});

for (const chunkSize of [512, 4 * KiB, 64 * KiB, 512 * KiB, 4096 * KiB, 1024 * 1024 * KiB]) {
  test(`classic records of a store with chunks of ${chunkSize} bytes have one length`, () => {
    const limits = classicLimits(chunkSize);
    const planned = plan([[0, 3 * chunkSize + 512]], limits).flat();
    const lengths = new Set(planned.slice(0, -1).map(({ length }) => length));
    assert.equal(lengths.size, 1);
    const [length = 0] = lengths;
    assert.equal(chunkSize % length, 0);
    for (const { offset } of planned) assert.equal(offset % length, 0);
  });
}

test('regrouping keeps every byte with its slab position, in order, within the limits', () => {
  const limits = { bytes: 10_000, operations: 3, operationBytes: 4000 };
  const someOperations = fc.array(fc.tuple(fc.nat(100_000), fc.integer({ min: 1, max: 30_000 })));
  fc.assert(
    fc.property(someOperations, (given) => {
      const operations = Float64Array.from(given.flatMap(([o, length]) => [o, length, o + 7]));
      const groups = [...regroup(operations, limits)];
      for (const group of groups) {
        const lengths = extentsOf(group).map(([, length]) => length);
        assert.ok(lengths.length > 0 && lengths.length <= limits.operations);
        assert.ok(lengths.reduce((sum, length) => sum + length, 0) <= limits.bytes);
        assert.ok(Math.max(...lengths) <= limits.operationBytes);
        for (let i = 0; i < group.length; i += 3) assert.equal(group[i + 2]! - group[i]!, 7);
      }
      // Put together again, piece by piece.
      const pieces = groups.flatMap(extentsOf);
      for (const [offset, length] of given) {
        let at = offset;
        while (at < offset + length) {
          const [start, size] = pieces.shift()!;
          assert.equal(start, at);
          at += size;
        }
        assert.equal(at, offset + length);
      }
      assert.equal(pieces.length, 0);
    }),
  );
});

test('operations within the limits stay one group', () => {
  const operations = Float64Array.of(0, 4096, 0, 8192, 4096, 4096);
  assert.deepEqual([...regroup(operations, BATCH_LIMITS)], [operations]);
  assert.deepEqual([...regroup(new Float64Array(), BATCH_LIMITS)], []);
});

const unordered: [string, Extents][] = [
  [
    'overlapping',
    [
      [0, 10],
      [9, 1],
    ],
  ],
  [
    'descending',
    [
      [10, 1],
      [0, 1],
    ],
  ],
  ['empty', [[0, 0]]],
  ['negative', [[-1, 1]]],
  ['of no number', [[0, Number.NaN]]],
];

for (const [what, extents] of unordered) {
  test(`a list with ${what} extents is refused`, () => {
    assert.throws(() => listOf(extents), /not in order/);
  });
}

test('a list that ends beyond 2^53 is refused', () => {
  assert.throws(() => listOf([[2 ** 53 - 10, 11]]), /beyond 2\^53/);
  assert.equal(listOf([[2 ** 53 - 10, 9]]).end, 2 ** 53 - 1);
});

test('a list knows its count, its bytes and its end', () => {
  const list = listOf([
    [4, 6],
    [10, 1],
    [100, 50],
  ]);
  assert.deepEqual([list.count, list.totalBytes, list.end], [3, 57, 150]);
  const empty = listOf([]);
  assert.deepEqual([empty.count, empty.totalBytes, empty.end], [0, 0, 0]);
});

const clips: { readonly size: number; readonly left: Extents }[] = [
  {
    size: 200,
    left: [
      [0, 10],
      [100, 50],
    ],
  },
  {
    size: 150,
    left: [
      [0, 10],
      [100, 50],
    ],
  },
  {
    size: 149,
    left: [
      [0, 10],
      [100, 49],
    ],
  },
  { size: 100, left: [[0, 10]] },
  { size: 5, left: [[0, 5]] },
  { size: 0, left: [] },
];

for (const { size, left } of clips) {
  test(`a list clipped to ${size} bytes keeps what lies below`, () => {
    const clipped = listOf([
      [0, 10],
      [100, 50],
    ]).clippedTo(size);
    assert.deepEqual([...clipped.pairs], left.flat());
  });
}

test('a tail is added behind everything, and an empty one is not', () => {
  const list = listOf([[0, 10]]);
  assert.deepEqual([...list.withTail(50, 60).pairs], [0, 10, 50, 10]);
  assert.equal(list.withTail(50, 50), list);
  assert.throws(() => list.withTail(5, 60), /not in order/);
});

test('several pipelines together need no more memory than two', () => {
  for (const limits of [BATCH_LIMITS, classicLimits(4 * KiB), classicLimits(192 * KiB)]) {
    for (let pipelines = 1; pipelines <= 16; pipelines++) {
      const each = limitsAmong(limits, pipelines);
      const total = pipelines * slabSizeFor(each);
      assert.ok(total <= 2 * slabSizeFor(limits) + pipelines * 2 * PAGE, `${pipelines}: ${total}`);
      assert.equal(each.bytes % (limits.chunkSize ?? PAGE), 0);
      assert.ok(each.operationBytes <= each.bytes && each.operations >= 1);
    }
    assert.deepEqual(limitsAmong(limits, 1), limits);
  }
});

test('a record that holds a whole chunk stays whole, however many pipelines there are', () => {
  const limits = limitsAmong(classicLimits(1024 * KiB), 16);
  assert.equal(limits.bytes, 1024 * KiB);
  assert.equal(limits.operationBytes, 1024 * KiB);
});

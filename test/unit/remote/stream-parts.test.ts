import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ExtentList, NO_EXTENTS } from '../../../src/device/extent.js';
import { difference, union } from '../../../src/device/extent-sets.js';
import { type Part, planParts } from '../../../src/remote/stream-parts.js';

const KIB = 1024;
const MIB = 1024 * KIB;

function listOf(...extents: (readonly [offset: number, length: number])[]): ExtentList {
  return new ExtentList(Float64Array.from(extents.flat()));
}

function sizesOf(parts: readonly Part[]): number[] {
  return parts.map(({ extents }) => extents.totalBytes / MIB);
}

function startsOf(parts: readonly Part[]): number[] {
  return parts.map(({ extents }) => (extents.pairs[0] ?? Number.NaN) / MIB);
}

const whole = (extents: ExtentList, zeros = NO_EXTENTS, chunkSize = 64 * KIB) => ({
  extents,
  zeros,
  chunkSize,
});

test('a long extent is cut into equal parts', () => {
  const parts = planParts(whole(listOf([0, 12 * MIB])), 3);
  assert.deepEqual(startsOf(parts), [0, 4, 8]);
  assert.deepEqual(sizesOf(parts), [4, 4, 4]);
});

test('a part is where the data are, not where the device is', () => {
  const parts = planParts(whole(listOf([0, 4 * MIB], [900 * MIB, 4 * MIB])), 2);
  assert.deepEqual(startsOf(parts), [0, 900]);
  assert.deepEqual(sizesOf(parts), [4, 4]);
});

const fewer: readonly [what: string, ExtentList, most: number, parts: number][] = [
  ['nothing', NO_EXTENTS, 8, 1],
  ['one chunk', listOf([5 * MIB, 4 * KIB]), 8, 1],
  ['less than two MiB', listOf([0, 2 * MIB - 4096]), 8, 1],
  ['two MiB', listOf([0, 2 * MIB]), 8, 2],
  ['two MiB across three', listOf([512 * KIB, 2 * MIB]), 8, 2],
  ['five MiB', listOf([0, 5 * MIB]), 8, 5],
  ['much, for a single stream', listOf([0, 500 * MIB]), 1, 1],
];
for (const [what, extents, most, count] of fewer) {
  test(`${what} makes ${count} of at most ${most} parts`, () => {
    assert.equal(planParts(whole(extents), most).length, count);
  });
}

test('what reads as zeros weighs nothing, and belongs to the part that it lies in', () => {
  const extents = listOf([0, 4 * MIB], [10 * MIB, 100 * MIB], [200 * MIB, 4 * MIB]);
  const zeros = listOf([10 * MIB, 100 * MIB]);
  const parts = planParts(whole(extents, zeros), 2);
  assert.deepEqual(
    parts.map((part) => difference(part.extents, part.zeros).totalBytes / MIB),
    [4, 4],
  );
  assert.equal(
    parts.reduce((sum, part) => sum + part.zeros.totalBytes, 0),
    100 * MIB,
  );
  assert.equal(planParts(whole(zeros, zeros), 8).length, 1);
});

test('no chunk belongs to two parts, whatever its size', () => {
  for (const chunkSize of [4, 64, 192, 1024, 2048, 960, 16384].map((size) => size * KIB)) {
    const parts = planParts(whole(listOf([0, 90 * chunkSize]), NO_EXTENTS, chunkSize), 4);
    for (const { extents } of parts) {
      assert.equal((extents.pairs[0] ?? 1) % chunkSize, 0);
      assert.equal((extents.pairs[0] ?? 1) % MIB, 0);
    }
  }
});

test('parts are disjoint at whole MiB, about equal, none is empty, and together they are the whole', () => {
  const some = fc
    .array(fc.tuple(fc.nat(3000), fc.integer({ min: 1, max: 900 })), { maxLength: 60 })
    .map((steps) => {
      let at = 0;
      return listOf(
        ...steps.map(([gap, length]): [number, number] => {
          const offset = at + gap * 4096;
          at = offset + length * 4096;
          return [offset, length * 4096];
        }),
      );
    });
  fc.assert(
    fc.property(some, fc.integer({ min: 2, max: 16 }), (extents, most) => {
      const parts = planParts(whole(extents), most);
      assert.ok(parts.length >= 1 && parts.length <= most);
      const all = parts.reduce((sum, part) => union(sum, part.extents), NO_EXTENTS);
      assert.equal(difference(extents, all).count + difference(all, extents).count, 0);
      assert.equal(sizesOf(parts).reduce((a, b) => a + b, 0) * MIB, extents.totalBytes);
      for (const [i, { extents: part }] of parts.entries()) {
        const next = parts[i + 1]?.extents.pairs[0] ?? Infinity;
        assert.ok(Math.floor((part.end - 1) / MIB) < Math.floor(next / MIB));
        if (parts.length > 1) assert.ok(part.count > 0);
        // A cut moves by less than a MiB to either side.
        assert.ok(part.totalBytes <= extents.totalBytes / most + 2 * MIB || part === extents);
      }
    }),
    { numRuns: 1000 },
  );
});

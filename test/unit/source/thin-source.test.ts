import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ExtentList } from '../../../src/device/extent.js';
import { splitChanges } from '../../../src/source/thin-source.js';

/** All numbers are blocks of 12, which is no power of two. */
const BLOCK = 12;

function blocks(...pairs: number[]): ExtentList {
  return new ExtentList(Float64Array.from(pairs, (value) => value * BLOCK));
}

function split(
  lists: { changed?: ExtentList; discarded?: ExtentList },
  { from, size, readsAsZeros = true }: { from: number; size: number; readsAsZeros?: boolean },
) {
  const { changed = blocks(), discarded = blocks() } = lists;
  const { extents, zeros } = splitChanges({ changed, discarded, dataBlockSize: BLOCK }, from, {
    size,
    readsAsZeros,
  });
  return { extents: [...extents.pairs], zeros: [...zeros.pairs] };
}

describe('what is sent of the difference of two thin volumes', () => {
  const same = { from: 10 * BLOCK, size: 10 * BLOCK };

  test('is what changed, and what was discarded as zeros', () => {
    const lists = { changed: blocks(1, 2), discarded: blocks(3, 1, 8, 1) };
    assert.deepEqual(split(lists, same), {
      extents: [...blocks(1, 3, 8, 1).pairs],
      zeros: [...blocks(3, 1, 8, 1).pairs],
    });
  });

  test('is read, also where it was discarded, if that may not read as zeros', () => {
    const lists = { changed: blocks(1, 2), discarded: blocks(8, 1) };
    assert.deepEqual(split(lists, { ...same, readsAsZeros: false }), {
      extents: [...blocks(1, 2, 8, 1).pairs],
      zeros: [],
    });
  });

  test('is all of what the volume gained, what is unmapped there as zeros', () => {
    const lists = { changed: blocks(11, 1) };
    assert.deepEqual(split(lists, { from: 10 * BLOCK, size: 14 * BLOCK }), {
      extents: [...blocks(10, 4).pairs],
      zeros: [...blocks(10, 1, 12, 2).pairs],
    });
  });

  test('is the rest of the block in which the gained part begins, as data', () => {
    assert.deepEqual(split({}, { from: 10 * BLOCK + 5, size: 12 * BLOCK }), {
      extents: [10 * BLOCK + 5, 2 * BLOCK - 5],
      zeros: [...blocks(11, 1).pairs],
    });
  });

  test('is that rest only, if the gained part ends in the same block', () => {
    assert.deepEqual(split({}, { from: 10 * BLOCK + 5, size: 10 * BLOCK + 9 }), {
      extents: [10 * BLOCK + 5, 4],
      zeros: [],
    });
  });

  test('is zeros for the whole block in which the gained part begins, if it was discarded', () => {
    const lists = { discarded: blocks(10, 1) };
    assert.deepEqual(split(lists, { from: 10 * BLOCK + 5, size: 12 * BLOCK }), {
      extents: [...blocks(10, 2).pairs],
      zeros: [...blocks(10, 2).pairs],
    });
  });

  test('is nothing beyond the end of a volume that lost a part', () => {
    assert.deepEqual(split({}, { from: 12 * BLOCK, size: 10 * BLOCK }), { extents: [], zeros: [] });
  });
});

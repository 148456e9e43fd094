import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { areaOf, measureReads, randomBatches } from '../../../../src/commands/bench/reads.js';
import type { FileDevice } from '../../../../src/device/block-device.js';
import { ExtentList, NO_EXTENTS } from '../../../../src/device/extent.js';
import { Random } from '../../../helpers/random.js';

const MIB = 1024 * 1024;

function list(...pairs: number[]): ExtentList {
  return new ExtentList(Float64Array.from(pairs));
}

function device(size: number): FileDevice {
  return { size } as FileDevice;
}

describe('what bench reads', () => {
  test('is what a run would, if that is enough, and otherwise all of the device', () => {
    const much = list(0, 40 * MIB, 100 * MIB, 40 * MIB);
    const source = { device: device(200 * MIB), extents: much, zeros: NO_EXTENTS };
    assert.equal(areaOf(source).totalBytes, 80 * MIB);
    const zeros = list(0, 30 * MIB);
    assert.equal(areaOf({ ...source, zeros }).totalBytes, 200 * MIB);
    assert.equal(areaOf({ ...source, extents: NO_EXTENTS }).totalBytes, 200 * MIB);
    assert.equal(areaOf({ ...source, device: device(0), extents: NO_EXTENTS }).count, 0);
  });

  test('at random lies in the area, at multiples of the request, and ends with it', () => {
    const random = new Random();
    const area = list(64 * 1024, 64 * 1024, MIB, MIB, 10 * MIB, 100);
    const limits = { operations: 32, operationBytes: 4096 };
    const seen = new Set<number>();
    let batches = 0;
    for (const { operations, bytes } of randomBatches(
      area,
      limits,
      () => random.below(1e9) / 1e9,
    )) {
      let sum = 0;
      for (let i = 0; i < operations.length; i += 3) {
        const [offset = 0, length = 0, position = 0] = operations.subarray(i, i + 3);
        assert.equal(offset % 4096, 0);
        assert.equal(position % 4096, 0);
        const isInside = [...Array(area.count).keys()].findIndex((n) => {
          const start = area.pairs[2 * n] ?? 0;
          return offset >= start && offset < start + (area.pairs[2 * n + 1] ?? 0);
        });
        assert.ok(isInside >= 0, `byte ${offset}`);
        assert.ok(length > 0 && offset + length <= area.end);
        seen.add(isInside);
        sum += length;
      }
      assert.equal(bytes, sum);
      if (++batches === 400) break;
    }
    assert.ok(seen.has(0) && seen.has(1), 'every large extent is hit');
  });

  test('reaches the first and the last byte', () => {
    const area = list(0, 8192, 16384, 100);
    const limits = { operations: 1, operationBytes: 4096 };
    const at = (share: number): number[] => {
      const { value } = randomBatches(area, limits, () => share).next();
      return [...(value?.operations ?? [])];
    };
    assert.deepEqual(at(0), [0, 4096, 0]);
    assert.deepEqual(at(0.98), [4096, 4096, 0]);
    assert.deepEqual(at(0.9999), [16384, 100, 0]);
  });

  test('of an empty source is nothing', async () => {
    const { signal } = new AbortController();
    for await (const row of measureReads(device(0), NO_EXTENTS, signal)) assert.fail(row.what);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DeviceMap } from '../../../src/stream/device-map.js';

test('every changed byte is in a cell, and no other, however the device grows', () => {
  const places = fc.array(fc.tuple(fc.nat(2 ** 20), fc.integer({ min: 1, max: 2 ** 16 })), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(places, fc.nat(2 ** 22), (list, size) => {
      const map = new DeviceMap();
      const changed = new Set<number>();
      // Disjoint: a byte counts once.
      let end = 0;
      for (const [gap, length] of list) {
        const offset = end + gap;
        map.add(offset, length);
        end = offset + length;
      }
      map.stretchTo(size);
      end = 0;
      for (const [gap, length] of list) {
        const offset = end + gap;
        end = offset + length;
        const last = Math.floor((end - 1) / map.cellSize);
        for (let cell = Math.floor(offset / map.cellSize); cell <= last; cell++) changed.add(cell);
      }
      const { shares } = map;
      assert.ok(shares.length <= 64 && shares.length * map.cellSize >= Math.max(end, size));
      assert.deepEqual(
        shares.flatMap((share, cell) => (share > 0 ? [cell] : [])),
        [...changed].sort((a, b) => a - b),
      );
    }),
  );
});

test('a cell is the fuller the more of it changed, and never blank if anything did', () => {
  const map = new DeviceMap();
  map.add(0, 1);
  map.add(4096, 2048);
  map.add(8192, 4096);
  map.stretchTo(4 * 4096);
  assert.equal(map.draw(), '▁▄█ ');
});

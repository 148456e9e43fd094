/** What every block device does, whatever it is: files and memory, which stands for one in other tests. */

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import type { BlockDevice } from '../../../src/device/block-device.js';
import { native } from '../../../src/host/native.js';

export interface MadeDevice {
  readonly device: BlockDevice;
  /** What it holds now, by another way than through the device. */
  content(): Buffer;
}

/** `make` opens a source that may be written, and closes it after the test. */
export function testBlockDevice(
  what: string,
  make: (t: TestContext, content: Buffer) => Promise<MadeDevice>,
): void {
  const BLOCK = 4096;

  describe(`a block device: ${what}`, () => {
    test('has the size of what it holds', async (t) => {
      const { device } = await make(t, Buffer.alloc(12_345));
      assert.equal(device.size, 12_345);
    });

    test('what is written is read back, aligned or not, and nothing else changes', async (t) => {
      const before = Buffer.alloc(100_000, 'before ');
      const { device, content } = await make(t, before);
      const slab = native.allocateSlab(64 * 1024);
      Buffer.from(slab).fill('after! ');
      const operations = Float64Array.of(4096, 8192, 0, 20_001, 77, 20_001, 99_990, 10, 33_000);
      await device.writeBatch(slab, operations);
      await device.sync();
      const expected = Buffer.from(before);
      for (let i = 0; i < operations.length; i += 3) {
        const [offset = 0, length = 0, position = 0] = operations.subarray(i, i + 3);
        Buffer.from(slab, position, length).copy(expected, offset);
      }
      assert.ok(content().equals(expected));
      const read = native.allocateSlab(64 * 1024);
      await device.readBatch(read, operations);
      assert.ok(Buffer.from(read, 33_000, 10).equals(Buffer.from(slab, 33_000, 10)));
      assert.ok(Buffer.from(read, 20_001, 77).equals(Buffer.from(slab, 20_001, 77)));
    });

    test('reading beyond its end names the device and the byte', async (t) => {
      const { device } = await make(t, Buffer.alloc(10_000));
      const slab = native.allocateSlab(4 * BLOCK);
      await assert.rejects(device.readBatch(slab, Float64Array.of(8192, 4096, 0)), (error) => {
        assert.ok(error instanceof LvmsyncError);
        assert.equal(error.exitStatus, 11);
        assert.ok(error.message.startsWith(`${device.path}: read error at byte `));
        assert.match(error.message, /\(it ends there\)$/);
        return true;
      });
    });

    /** Data in blocks 2, 3 and 6 of eight. */
    const patchy = (): Buffer => {
      const content = Buffer.alloc(8 * BLOCK);
      content.fill('data', 2 * BLOCK, 4 * BLOCK);
      content[6 * BLOCK + 17] = 1;
      return content;
    };

    test('finds what holds anything but zeros, neighbours as one', async (t) => {
      const { device } = await make(t, patchy());
      const found = await device.findData(Float64Array.of(0, 8 * BLOCK), BLOCK);
      assert.deepEqual([...found], [2 * BLOCK, 2 * BLOCK, 6 * BLOCK, BLOCK]);
    });

    test('looks between multiples of the unit, wherever an extent begins', async (t) => {
      const { device } = await make(t, patchy());
      const found = await device.findData(Float64Array.of(BLOCK, 7 * BLOCK), 2 * BLOCK);
      assert.deepEqual([...found], [2 * BLOCK, 2 * BLOCK, 6 * BLOCK, 2 * BLOCK]);
    });

    test('looks at each extent as a whole where no unit is given', async (t) => {
      const { device } = await make(t, patchy());
      const extents = Float64Array.of(0, 2 * BLOCK, 3 * BLOCK, 2 * BLOCK, 5 * BLOCK, 3 * BLOCK);
      const found = await device.findData(extents, 0);
      assert.deepEqual([...found], [3 * BLOCK, 5 * BLOCK]);
    });

    test('what it gives back reads as zeros, it says what has to be written, and nothing else changes', async (t) => {
      const before = Buffer.alloc(8 * BLOCK, 'data');
      const { device, content } = await make(t, before);
      const rules = { discard: false, granularity: BLOCK };
      const punched = Float64Array.of(BLOCK, 2 * BLOCK, 5 * BLOCK + 100, BLOCK);
      const left = await device.punch(punched, rules);
      const slab = native.allocateSlab(8 * BLOCK);
      for (let i = 0; i < left.length; i += 2) {
        const [offset = 0, length = 0] = left.subarray(i, i + 2);
        await device.writeBatch(slab, Float64Array.of(offset, length, 0));
      }
      const expected = Buffer.from(before).fill(0, BLOCK, 3 * BLOCK);
      expected.fill(0, 5 * BLOCK + 100, 6 * BLOCK + 100);
      assert.ok(content().equals(expected));
    });
  });
}

/** What a run makes of stretches that are to read as zeros: on files, with the real I/O. */

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileDevice, SlabPool } from '../../../src/device/block-device.js';
import { BATCH_LIMITS, ExtentList, planBatches, slabSizeFor } from '../../../src/device/extent.js';
import { PLAIN_RULES, type WriteRules } from '../../../src/lvm/write-rules.js';
import { Snapback } from '../../../src/pipeline/snapback.js';
import { WriteStage } from '../../../src/pipeline/write-stage.js';
import { PeerOutput } from '../../../src/remote/peer-output.js';
import { scratchFolder } from '../../helpers/scratch.js';

const MIB = 1024 * 1024;
const SIZE = 600 * MIB;
const DATA = 300 * MIB + 512;

interface Outcome {
  readonly savedBytes: number;
  readonly steps: number[];
  readonly content: Buffer;
  readonly calls: string[];
  /** Of all batches that were saved or written. */
  readonly ticks: number;
}

/** All of a sparse file of SIZE bytes with so many bytes of data at DATA is made zeros. */
async function makeZeros(rules: Partial<WriteRules>, dataLength = 16): Promise<Outcome> {
  const folder = scratchFolder();
  const path = join(folder, 'copy');
  writeFileSync(path, '');
  truncateSync(path, SIZE);
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.alloc(dataLength, 'x'), 0, dataLength, DATA);
  closeSync(fd);
  const device = await FileDevice.open(path, { role: 'destination', write: true });
  const calls: string[] = [];
  const watched = new Proxy(device, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...words: unknown[]): unknown => {
        calls.push(String(name));
        return value.apply(target, words);
      };
    },
  });
  const place = { path: join(folder, 'snapback'), overwrite: false };
  const facts = { deviceSize: SIZE, attributes: {} };
  const snapback = await Snapback.create({ ...place, facts, sorted: false });
  const pool = new SlabPool(2, slabSizeFor(BATCH_LIMITS));
  let ticks = 0;
  const tick = (): void => {
    ticks++;
  };
  const stage = new WriteStage(watched, snapback, pool, { ...PLAIN_RULES, ...rules, tick });
  const steps: number[] = [];
  const all = new ExtentList(Float64Array.of(0, SIZE));
  for (const { operations } of planBatches(all, stage.zeroLimits)) {
    await stage.writeZeros(operations);
    steps.push(stage.writtenBytes);
  }
  snapback.keep();
  await stage.finish();
  await device.close();
  const content = readFileSync(path).subarray(DATA - 512, DATA + 512);
  return { savedBytes: snapback.savedBytes, steps, content, calls, ticks };
}

const punches = [
  ['holes', { discard: false, granularity: 4096 }],
  // Which a file refuses, so that zeros have to be written.
  ['discards', { discard: true, granularity: 64 * 1024 }],
] as const;
for (const [how, punch] of punches) {
  test(`F36: only what is no zeros is saved before it becomes zeros (${how})`, async () => {
    const { savedBytes, content } = await makeZeros({ punch });
    assert.equal(savedBytes, 64 * 1024);
    assert.ok(content.equals(Buffer.alloc(1024)));
  });
}

test('F36: where nothing is, nothing is read, saved or given back', async () => {
  const { savedBytes, calls, content } = await makeZeros({ dataEnd: 0 });
  assert.equal(savedBytes, 0);
  assert.deepEqual([...new Set(calls)], ['sync']);
  assert.ok(content.includes('x'), 'it was believed');
});

test('F35: a long stretch is done in steps, each of which is a sign of life', async () => {
  const { steps } = await makeZeros({});
  assert.ok(steps.length >= 4, `${steps}`);
  assert.equal(steps.at(-1), SIZE);
});

test('F35: saving a step that is full of data gives many signs of life', async () => {
  const { ticks, savedBytes } = await makeZeros({}, 64 * MIB);
  assert.ok(savedBytes >= 64 * MIB);
  assert.ok(ticks >= savedBytes / BATCH_LIMITS.bytes, `${ticks} for ${savedBytes} bytes`);
});

test('F35: a receiver that is ready may say that it is at work', () => {
  const id = 'a'.repeat(32);
  const output = new PeerOutput({ debug: () => undefined } as never, id);
  for (const line of [`lvmsync-ready 1 ${id}`, `lvmsync-busy 1 ${id}`]) output.take(line, 'stdout');
  assert.equal(output.signsOfLife, 1);
});

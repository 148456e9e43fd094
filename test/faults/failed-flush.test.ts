/** A flush that failed may have lost what can still be read from memory: nobody is to count on it. */

import '../helpers/faults/scripted-syscalls.js';

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { native } from '../../src/host/native.js';
import { Snapback } from '../../src/pipeline/snapback.js';
import { syscalls } from '../helpers/faults/scripted-syscalls.js';
import { scratchFolder } from '../helpers/scratch.js';
import { dataRecordsOf } from '../helpers/streams/stream-parts.js';

const NO_FAULT = { first: 1_000_000, run: 1, error: 0, most: 0 };

test('a snapback whose flush fails holds what was flushed before, and no more', async () => {
  const path = join(scratchFolder(), 'snapback');
  const facts = { deviceSize: 65536, attributes: {} };
  const snapback = await Snapback.create({ path, overwrite: false, facts, sorted: false });
  const slab = native.allocateSlab(4096);
  Buffer.from(slab).fill('former content ');
  syscalls.setFaults(NO_FAULT);
  await snapback.save(slab, Float64Array.of(0, 4096, 0));
  const { calls } = syscalls.takeOutcome();
  const before = readFileSync(path);
  // The last call of a save is its flush.
  syscalls.setFaults({ ...NO_FAULT, first: calls, error: constants.errno.EIO });
  await assert.rejects(snapback.save(slab, Float64Array.of(8192, 4096, 0)), /flush error/);
  const { flushes } = syscalls.takeOutcome();
  assert.deepEqual(
    flushes.map(({ failed }) => failed),
    [true],
  );
  assert.equal(dataRecordsOf(readFileSync(path)).length, 2, 'it can be read at first');
  snapback.close();
  assert.ok(readFileSync(path).equals(before));
});

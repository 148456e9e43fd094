/** An allocation that fails on a thread of the addon is a failure like any other. */

import '../helpers/faults/scripted-syscalls.js';

import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { native } from '../../src/host/native.js';
import { ChangeReader } from '../../src/stream/change-reader.js';
import { syscalls } from '../helpers/faults/scripted-syscalls.js';
import { scratchFolder } from '../helpers/scratch.js';

const NO_MEMORY = { first: 1, run: 1, error: constants.errno.ENOMEM, most: 0 };
const path = join(scratchFolder(), 'stream');
writeFileSync(path, 'lvmsync PROTO[3]\n');

test('F37: a call whose memory is not there is rejected, and the next one works', async () => {
  const fd = openSync(path, 'r');
  const input = new native.InputStream(fd);
  syscalls.setFaults(NO_MEMORY);
  await assert.rejects(input.read(new ArrayBuffer(64)), { code: 'ENOMEM', syscall: 'malloc' });
  assert.equal(syscalls.takeOutcome().injected, 1);
  assert.equal(await input.read(new ArrayBuffer(64)), 17);
  closeSync(fd);
});

test('F37: a stream that cannot be read for want of memory ends as one that cannot be read', async () => {
  const fd = openSync(path, 'r');
  const reader = new ChangeReader(fd, 'the stream');
  syscalls.setFaults(NO_MEMORY);
  await assert.rejects(reader.readForm(), /the stream: read error at byte 0 \(ENOMEM/);
  syscalls.takeOutcome();
  await reader.close();
  closeSync(fd);
});

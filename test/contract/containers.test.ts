/** Runs in containers that share the lock files and the destination with the host. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { findLockDirectory } from '../../src/host/lock-directory.js';
import { readText } from '../../src/host/virtual-files.js';
import { assertFails, assertSucceeds, CLI, lvmsync } from '../helpers/program/cli.js';
import { IN_NAMESPACE, noNamespace } from '../helpers/program/pid-namespace.js';
import { scratchFolder } from '../helpers/scratch.js';
import { framedStream } from '../helpers/streams/stream-parts.js';

const folder = scratchFolder();

async function untilClaimed(path: string): Promise<void> {
  const mark = `-${statSync(path).ino}.`;
  for (let tries = 0; tries < 1000; tries++) {
    const locks = findLockDirectory() ?? '/';
    const files = readdirSync(locks).filter((name) => name.includes(mark));
    if (files.some((name) => /^held$/m.test(readText(join(locks, name)) ?? ''))) return;
    await sleep(20);
  }
  assert.fail('it was never claimed');
}

const skip = noNamespace();
test('F10: a run that is killed in a container leaves nothing that holds', { skip }, async () => {
  const path = join(folder, 'copy.img');
  writeFileSync(path, Buffer.alloc(8192));
  const data = Buffer.alloc(4096, 'new');
  const groups = [[{ offset: 0, data }], [{ offset: 4096, data }]];
  const stream = join(folder, 'stream');
  const bytes = await framedStream(stream, { deviceSize: 8192, groups });
  const [program = '', ...words] = [...IN_NAMESPACE, process.execPath, CLI, '--apply', '-', path];
  const inside = spawn(program, words, { stdio: ['pipe', 'ignore', 'ignore'] });
  inside.stdin?.write(bytes.subarray(0, bytes.length - 200));
  await untilClaimed(path);
  assertFails(lvmsync(['--apply', stream, path]), 19, /process 1 in another container: lvmsync/);
  inside.kill('SIGKILL');
  await once(inside, 'exit');
  // What is killed with a container may take a moment to end.
  await sleep(500);
  assertSucceeds(lvmsync(['--apply', stream, path]));
  assert.ok(readFileSync(path).equals(Buffer.concat([data, data])));
});

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { identifyPath, realTopology } from '../../../src/device/topology.js';
import { findWriters, readMounts, readSwaps } from '../../../src/device/users.js';

const directory = mkdtempSync(join(tmpdir(), 'device-users-'));
const children: ChildProcess[] = [];
after(async () => {
  for (const child of children) {
    child.kill();
    await once(child, 'exit');
  }
  rmSync(directory, { recursive: true });
});

/** A process that has the file as its standard output. */
async function holdOpen(path: string, flags: string): Promise<number> {
  const descriptor = openSync(path, flags);
  const child = spawn('sleep', ['600'], { stdio: ['ignore', descriptor, 'ignore'] });
  await once(child, 'spawn');
  closeSync(descriptor);
  children.push(child);
  return child.pid!;
}

test('a process that can write the file is found, also by another name of it', async () => {
  const path = join(directory, 'image');
  const link = join(directory, 'link');
  symlinkSync(path, link);
  const writer = await holdOpen(path, 'w');
  await holdOpen(path, 'r');
  const identity = identifyPath(path)!;
  const expected = [{ pid: writer, name: 'sleep' }];
  assert.deepEqual(findWriters({ path, identity }, realTopology), expected);
  assert.deepEqual(findWriters({ path: link, identity }, realTopology), expected);
});

test('a file of the same name and one that only this process has open are not reported', async () => {
  const own = join(directory, 'own');
  const descriptor = openSync(own, 'w');
  assert.deepEqual(findWriters({ path: own, identity: identifyPath(own)! }, realTopology), []);
  closeSync(descriptor);

  const other = openSync(join(directory, 'namesake'), 'w');
  closeSync(other);
  await holdOpen(join(directory, 'namesake'), 'r+');
  const identity = identifyPath(own)!;
  assert.deepEqual(findWriters({ path: '/elsewhere/namesake', identity }, realTopology), []);
});

test("this machine's own mounts can be read", () => {
  assert.ok(readMounts(realTopology).some((mount) => mount.mountPoint === '/proc'));
});

test('without /proc the mounts are an error, not an empty list', () => {
  const effects = { ...realTopology, root: join(directory, 'empty') };
  assert.throws(() => readMounts(effects), { code: 'ENOENT' });
  assert.deepEqual(readSwaps(effects), []);
});

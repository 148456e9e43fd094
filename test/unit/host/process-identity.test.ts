import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasEnded, ownIdentity } from '../../../src/host/process-identity.js';

const root = mkdtempSync(join(tmpdir(), 'process-identity-'));
after(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, 'proc/sys/kernel/random'), { recursive: true });
writeFileSync(join(root, 'proc/sys/kernel/random/boot_id'), 'boot-one\n');
mkdirSync(join(root, 'proc/self/ns'), { recursive: true });
symlinkSync('pid:[4026531836]', join(root, 'proc/self/ns/pid'));

/** A line of /proc/PID/stat with the fields that matter. */
function writeStat(pid: number, fields: { name?: string; state?: string; threads?: number }): void {
  const { name = 'node', state = 'S', threads = 1 } = fields;
  const middle = '7896 7848 4785 0 -1 4228108 110 0 0 0 0 0 0 0 20 0';
  mkdirSync(join(root, `proc/${pid}`), { recursive: true });
  const text = `${pid} (${name}) ${state} ${middle} ${threads} 0 177163 0 0 1844 0\n`;
  writeFileSync(join(root, `proc/${pid}/stat`), text);
}

const known = {
  pid: 4242,
  startTime: '177163',
  bootId: 'boot-one',
  pidNamespace: 'pid:[4026531836]',
};

const states: [string, boolean, { name?: string; state?: string; threads?: number }][] = [
  ['a sleeping process', false, {}],
  ['a process whose name looks like fields', false, { name: 'a) Z (1 2 3' }],
  ['a zombie', true, { state: 'Z' }],
  ['a killed process one of whose threads is still at work', false, { state: 'Z', threads: 2 }],
];

for (const [what, ended, fields] of states) {
  test(`${what} has ${ended ? '' : 'not '}ended`, () => {
    writeStat(known.pid, fields);
    assert.equal(hasEnded(known, root), ended);
  });
}

test('a process is known by its start time and its boot', () => {
  writeStat(known.pid, {});
  assert.equal(hasEnded({ ...known, startTime: '177162' }, root), true);
  assert.equal(hasEnded({ ...known, bootId: 'boot-zero' }, root), true);
});

test('nothing is known of a process in another pid namespace', () => {
  const elsewhere = { ...known, pid: 2 ** 22 + 1, pidNamespace: 'pid:[1]' };
  assert.equal(hasEnded(elsewhere, root), false);
  assert.equal(hasEnded({ ...elsewhere, bootId: 'boot-zero' }, root), true);
});

test('a process that /proc hides has not ended, one that nobody knows has', () => {
  assert.equal(hasEnded({ ...known, pid: process.ppid }, root), false);
  assert.equal(hasEnded({ ...known, pid: 2 ** 22 + 1 }, root), true);
});

test('this process knows itself, and has not ended', () => {
  writeStat(process.pid, { name: 'tricky) R 1' });
  assert.deepEqual(ownIdentity(root), { ...known, pid: process.pid });
  assert.equal(hasEnded(ownIdentity()), false);
});

test('without /proc there is no identity', () => {
  assert.throws(() => ownIdentity(join(root, 'empty')), /is \/proc mounted/);
});

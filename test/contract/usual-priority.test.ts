import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { test } from 'node:test';
import { setPriority, withLvmPriority, withUsualPriority } from '../../src/host/priority.js';

interface Seen {
  readonly nice: number;
  readonly policy: number;
  readonly io: string;
}

/** Of the main thread, or of a child that it starts: fields 17 and 39 behind the name. */
function look(who: 'self' | 'child'): Seen {
  const path = '/proc/self/stat';
  const line =
    who === 'self'
      ? readFileSync(`/proc/${process.pid}/task/${process.pid}/stat`, 'utf8')
      : execFileSync('cat', [path], { encoding: 'utf8' });
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const words = who === 'self' ? ['-p', `${process.pid}`] : [];
  const io = execFileSync('ionice', words, { encoding: 'utf8' }).trim();
  return { nice: Number(fields[16]), policy: Number(fields[38]), io };
}

const reason = process.getuid?.() === 0 ? false : 'only root may take a priority back';

test('work for which others wait is done with the priority of before', {
  skip: reason,
}, async () => {
  const usual = look('child');
  const nice = getPriority();
  assert.deepEqual(await withUsualPriority(async () => look('child')), usual);

  setPriority({ nice: 'idle', io: { text: 'idle', ioClass: 3, level: 0 } });
  const idle = { nice, policy: 5, io: 'idle' };
  assert.deepEqual([look('self'), look('child')], [idle, idle]);
  const hurried = await withUsualPriority(async () => [look('self'), look('child')]);
  assert.deepEqual(
    hurried.map(({ policy }) => policy),
    [0, 0],
  );
  assert.ok(hurried.every(({ io }) => io !== 'idle'));
  assert.deepEqual([look('self'), look('child')], [idle, idle]);
  // LVM's own commands only have to be able to raise their nice value.
  const lvm = await withLvmPriority(async () => look('child'));
  assert.deepEqual([lvm.policy, lvm.nice], [0, 19]);
  assert.notEqual(lvm.io, 'idle');
  assert.deepEqual([look('self'), look('child')], [idle, idle]);
  // The work that fails does not hurry on.
  await assert.rejects(
    withUsualPriority(() => Promise.reject(new Error('lvcreate'))),
    /lvcreate/,
  );
  assert.deepEqual(look('self'), idle);
});

test('the same with a nice value', { skip: reason }, async () => {
  const nice = getPriority();
  setPriority({ nice: 7 });
  assert.equal(look('self').nice, 7);
  const hurried = await withUsualPriority(async () => [look('self').nice, look('child').nice]);
  assert.deepEqual(hurried, [nice, nice]);
  assert.equal(await withLvmPriority(async () => look('child').nice), 7);
  assert.equal(look('child').nice, 7);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { signOfLife, ticking } from '../../../src/remote/sign-of-life.js';

test('a sign of life is given every second while work goes on, however often it is asked for', () => {
  let now = 1000;
  const given: number[] = [];
  const tick = signOfLife(
    () => given.push(now),
    () => now,
  );
  for (; now <= 4000; now += 250) tick();
  assert.deepEqual(given, [2000, 3000, 4000]);
});

test('F35: what tells nothing until its end is ticked for meanwhile, and no longer', async () => {
  let ticks = 0;
  const result = await ticking(
    () => ticks++,
    () => sleep(2300, 'done'),
  );
  assert.equal(result, 'done');
  assert.equal(ticks, 2);
  await assert.rejects(ticking(assert.fail, () => Promise.reject(new Error('it failed'))));
});

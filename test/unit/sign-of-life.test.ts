import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signOfLife } from '../../src/sign-of-life.js';

test('a sign of life is given every five seconds while work goes on, however often it is asked for', () => {
  let now = 1000;
  const given: number[] = [];
  const tick = signOfLife(
    () => given.push(now),
    () => now,
  );
  for (; now <= 17_000; now += 250) tick();
  assert.deepEqual(given, [6000, 11_000, 16_000]);
});

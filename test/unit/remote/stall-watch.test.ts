import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { noAnswer, watchForStall } from '../../../src/remote/stall-watch.js';
import { Reporter } from '../../../src/run/reporter.js';

/** Time stands still but for `pass`. The timers of node:test cannot be cleared by what they call. */
let now = 0;
let look: (() => void) | undefined;
beforeEach(() => {
  now = 0;
  mock.method(performance, 'now', () => now);
  mock.method(globalThis, 'setInterval', (callback: () => void, interval: number) => {
    assert.equal(interval, 500);
    look = callback;
    return 'timer';
  });
  mock.method(globalThis, 'clearInterval', (timer: unknown) => {
    assert.equal(timer, 'timer');
    look = undefined;
  });
});
afterEach(() => {
  assert.equal(look, undefined, 'a timer is left behind');
  mock.restoreAll();
});

function pass(seconds: number): void {
  for (let step = 0; step < 2 * seconds; step++) {
    now += 500;
    look?.();
  }
}

function watched(limitSeconds: number) {
  const state = { moved: 0, timeouts: 0, said: [] as string[] };
  const write = (text: string): void => {
    state.said.push(text.trimEnd());
  };
  const stop = watchForStall({
    host: 'backup',
    reporter: new Reporter({ verbosity: 'normal', write, isTTY: false }),
    progress: () => state.moved,
    limitSeconds,
    onTimeout: () => {
      state.timeouts++;
    },
  });
  return { state, stop };
}

test('F13: a stall is reported after 10 seconds, once, with when it is ended', () => {
  const { state, stop } = watched(3600);
  state.moved++;
  pass(10);
  assert.deepEqual(state.said, []);
  pass(600);
  assert.deepEqual(state.said, [
    'WARNING: backup: nothing has moved for 10 s; giving up after 3600 s (see --timeout)',
  ]);
  assert.equal(state.timeouts, 0);
  stop();
});

test('a second stall is reported anew', () => {
  const { state, stop } = watched(3600);
  pass(40);
  state.moved++;
  pass(10);
  assert.equal(state.said.length, 1);
  pass(2);
  assert.equal(state.said.length, 2);
  stop();
});

test('what moves slowly is no stall', () => {
  const { state, stop } = watched(10);
  for (let round = 0; round < 20; round++) {
    pass(9);
    state.moved++;
  }
  assert.deepEqual([state.said, state.timeouts], [[], 0]);
  stop();
});

test('the time set by the user ends it, once', () => {
  const { state } = watched(5);
  pass(4);
  assert.equal(state.timeouts, 0);
  pass(60);
  assert.deepEqual([state.said, state.timeouts], [[], 1]);
});

test('F13: who has not said a word is said to give no answer', () => {
  const { state } = watched(60);
  pass(59);
  const said = 'WARNING: backup: no answer for 10 s; giving up after 60 s (see --timeout)';
  assert.deepEqual(state.said, [said]);
  assert.equal(state.timeouts, 0);
  pass(1);
  assert.equal(state.timeouts, 1);
});

test('after it was stopped nothing is reported', () => {
  const { state, stop } = watched(1);
  stop();
  pass(100);
  assert.deepEqual([state.said, state.timeouts], [[], 0]);
});

for (const [what, silent, message, hint] of [
  [
    'one of several streams',
    { host: 'root@backup', name: 'root@backup (stream 2 of 3)' },
    'root@backup (stream 2 of 3): no answer for 9 s: given up',
    'Check that you can log in to root@backup and that lvmsync starts there. If it is only slow, use a longer --timeout.',
  ],
  [
    'a host that needs no lvmsync',
    { host: 'backup', program: 'sh' },
    'backup: no answer for 9 s: given up',
    'Check that you can log in to backup. If it is only slow, use a longer --timeout.',
  ],
  [
    'this machine',
    { host: undefined },
    'this machine: no answer for 9 s: given up',
    'If it is only slow, use a longer --timeout.',
  ],
] as const) {
  test(`F13: the advice where no answer came suits ${what}`, () => {
    const error = noAnswer(silent, 9);
    assert.deepEqual([error.message, error.hint, error.exitStatus], [message, hint, 17]);
  });
}

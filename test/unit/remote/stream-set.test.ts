import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { StreamSet, type StreamSetRules } from '../../../src/remote/stream-set.js';

/** A receiver that does what the test tells it. */
class Receiver {
  answer: () => void = () => undefined;
  end: () => void = () => undefined;
  readonly features = new Promise<readonly string[]>((resolve) => {
    this.answer = () => resolve([]);
  });
  readonly exited = new Promise<void>((resolve) => {
    this.end = resolve;
  });
}

/** Milliseconds: longer than any of these tests. */
const NEVER = 60_000;

function makeSet(rules: Partial<StreamSetRules> = {}) {
  const told: string[] = [];
  const stop = new AbortController();
  const set = new StreamSet({
    host: 'backup',
    setId: new Uint8Array(16),
    count: 2,
    signal: stop.signal,
    answers: true,
    needsReady: false,
    timeoutSeconds: undefined,
    onSilence: () => told.push('silence'),
    patience: NEVER,
    ...rules,
  });
  return { set, stop, told };
}

/** Whether it has resolved after everything that is due now was done. */
async function isOver(wait: Promise<unknown>): Promise<boolean> {
  const open = new Promise((resolve) => setImmediate(resolve, 'open'));
  return (await Promise.race([wait, open])) !== 'open';
}

async function toData(set: StreamSet, receiver: Receiver): Promise<void> {
  if (await set.ready(receiver)) await set.allReady(receiver);
}

test('a single stream never waits', async () => {
  const { set } = makeSet({ count: 1 });
  const receiver = new Receiver();
  await toData(set, receiver);
  await set.allSent(receiver);
  assert.ok(set.mayHaveSentData);
});

test('no stream sends data before all receivers have said that they are ready', async () => {
  const { set } = makeSet();
  const [a, b] = [new Receiver(), new Receiver()];
  const waits = [toData(set, a), toData(set, b)];
  a.answer();
  assert.deepEqual(await Promise.all(waits.map(isOver)), [false, false]);
  assert.ok(!set.mayHaveSentData);
  b.answer();
  await Promise.all(waits);
  assert.ok(set.mayHaveSentData);
});

test('no stream ends before all have sent their data', async () => {
  const { set } = makeSet();
  const first = set.allSent(new Receiver());
  assert.equal(await isOver(first), false);
  await set.allSent(new Receiver());
  await first;
});

test('a receiver that ends without an answer never lets the others begin', async () => {
  const { set } = makeSet();
  const [a, b] = [new Receiver(), new Receiver()];
  const wait = toData(set, b);
  b.answer();
  a.end();
  assert.equal(await set.ready(a), false);
  assert.equal(await isOver(wait), false);
  set.fail(new LvmsyncError('transport', 'a has ended'));
  await wait;
  assert.ok(!set.mayHaveSentData);
});

test('receivers of which none says anything are old ones, and that is told once', async () => {
  const { set, told } = makeSet({ patience: 5 });
  await Promise.all([toData(set, new Receiver()), toData(set, new Receiver())]);
  assert.deepEqual(told, ['silence']);
  assert.ok(set.mayHaveSentData);
});

test('a timeout shortens that wait', async () => {
  const { set, told } = makeSet({ timeoutSeconds: 0.01 });
  await Promise.all([toData(set, new Receiver()), toData(set, new Receiver())]);
  assert.deepEqual(told, ['silence']);
});

test('silence is no answer where one is needed', async () => {
  const { set, told } = makeSet({ patience: 2, needsReady: true });
  await assert.rejects(set.ready(new Receiver()), {
    code: 'transport',
    message: 'backup: no receiver reported "ready"',
    hint: /--format=classic/,
  });
  assert.deepEqual(told, []);
});

test('where one says that it is at work, all are waited for as long as it takes', async () => {
  const { set, told } = makeSet({ patience: 5, needsReady: true });
  const [a, b] = [new Receiver(), new Receiver()];
  const waits = [set.ready({ ...a, speaks: Promise.resolve() }), set.ready(b)];
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.deepEqual(await Promise.all(waits.map(isOver)), [false, false]);
  a.answer();
  b.answer();
  assert.deepEqual(await Promise.all(waits), [true, true]);
  assert.deepEqual(told, []);
});

test('where one receiver has answered, another is waited for as long as it takes', async () => {
  const { set, told } = makeSet({ patience: 5 });
  const [a, b] = [new Receiver(), new Receiver()];
  a.answer();
  const wait = toData(set, a);
  const late = set.ready(b);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(await isOver(late), false);
  b.answer();
  assert.equal(await late, true);
  assert.deepEqual(told, []);
  assert.equal(await isOver(wait), false);
});

test('classic streams do not wait for an answer', async () => {
  const { set } = makeSet({ answers: false });
  await toData(set, new Receiver());
  assert.ok(set.mayHaveSentData);
});

test('the first failure stops the others and is the one that is kept', async () => {
  const { set } = makeSet();
  const waits = [toData(set, new Receiver()), set.allSent(new Receiver())];
  const first = new LvmsyncError('snapback', 'it exists');
  set.fail(first);
  set.fail(new LvmsyncError('transport', 'its consequence'));
  await Promise.all(waits);
  assert.equal(set.failure, first);
  assert.equal(set.signal.reason, first);
});

test('the failure of a single stream stops nothing: it ends by itself', () => {
  const { set } = makeSet({ count: 1 });
  set.fail(new LvmsyncError('transport', 'it broke'));
  assert.equal(set.signal.aborted, false);
});

test('a signal to the run stops all, also one that came before', async () => {
  const { set, stop } = makeSet();
  const wait = toData(set, new Receiver());
  stop.abort('SIGTERM');
  await wait;
  assert.equal(set.signal.reason, 'SIGTERM');
  assert.equal(makeSet({ signal: stop.signal }).set.signal.reason, 'SIGTERM');
});

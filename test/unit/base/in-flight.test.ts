import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { InFlight } from '../../../src/base/in-flight.js';

interface Gate {
  readonly work: () => Promise<void>;
  readonly open: () => void;
  readonly fail: (error: Error) => void;
  readonly begun: () => boolean;
}

function gate(): Gate {
  let begun = false;
  let open: () => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const passed = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  passed.catch(() => undefined);
  const work = (): Promise<void> => {
    begun = true;
    return passed;
  };
  return { work, open, fail, begun: () => begun };
}

test('work beyond the limit begins only when other work has ended', async () => {
  const inFlight = new InFlight(2);
  const [first, second, third] = [gate(), gate(), gate()];
  await inFlight.start(first.work);
  await inFlight.start(second.work);
  const started = inFlight.start(third.work);
  await nextTurn();
  assert.deepEqual([first.begun(), second.begun(), third.begun()], [true, true, false]);
  second.open();
  await started;
  assert.ok(third.begun());
  first.open();
  third.open();
  await inFlight.finish();
});

test('after a failure no more work begins, and start throws it', async () => {
  const inFlight = new InFlight(1);
  const [first, second] = [gate(), gate()];
  await inFlight.start(first.work);
  const started = inFlight.start(second.work);
  first.fail(new Error('broken'));
  await assert.rejects(started, /broken/);
  assert.equal(second.begun(), false);
});

test('finish waits for everything that runs, then throws the failure that came first', async () => {
  const inFlight = new InFlight(3);
  const gates = [gate(), gate(), gate()];
  for (const { work } of gates) await inFlight.start(work);
  gates[1]!.fail(new Error('the first'));
  await nextTurn();
  let settled = false;
  const finished = inFlight.finish().finally(() => {
    settled = true;
  });
  finished.catch(() => undefined);
  gates[0]!.fail(new Error('the second'));
  await nextTurn();
  assert.equal(settled, false);
  gates[2]!.open();
  await assert.rejects(finished, /the first/);
});

test('settle waits for everything that runs and never throws', async () => {
  const inFlight = new InFlight(2);
  const [first, second] = [gate(), gate()];
  await inFlight.start(first.work);
  await inFlight.start(second.work);
  let settled = false;
  const settling = inFlight.settle().then(() => {
    settled = true;
  });
  first.fail(new Error('broken'));
  await nextTurn();
  assert.equal(settled, false);
  second.open();
  await settling;
  await assert.rejects(inFlight.finish(), /broken/);
});

test('a failure of undefined is a failure', async () => {
  const inFlight = new InFlight(1);
  await inFlight.start(() => Promise.reject(undefined));
  await inFlight.settle();
  await assert.rejects(inFlight.finish(), (error) => error === undefined);
});

test('nothing to wait for is waited for at once', async () => {
  await new InFlight(1).finish();
});

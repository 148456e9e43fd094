import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Clock, RateLimit } from '../../../src/base/rate-limit.js';
import { Random } from '../../helpers/random.js';

const random = new Random();
const never = new AbortController().signal;

/** Time that only sleeping and work move. */
class FakeClock implements Clock {
  time = 0;
  readonly now = (): number => this.time;
  readonly sleep = async (milliseconds: number): Promise<void> => {
    this.time += milliseconds;
  };
}

describe('a rate limit', () => {
  test('keeps the rate to 5 % over ten seconds, whatever the sizes and pauses', async () => {
    const rate = 10_000_000;
    const clock = new FakeClock();
    const limit = new RateLimit(rate, clock);
    let bytes = 0;
    while (clock.time < 10_000) {
      const size = 1 + random.below(2 * 2 ** 20);
      await limit.take(size, never);
      bytes += size;
      // Less than the bytes take at that rate.
      clock.time += random.below(Math.ceil(size / rate / 2)) * 1000;
    }
    const measured = bytes / (clock.time / 1000);
    assert.ok(measured > 0.95 * rate && measured < 1.05 * rate, `${measured} bytes a second`);
  });

  test('does not let a long pause be made up for by a burst', async () => {
    const clock = new FakeClock();
    const limit = new RateLimit(1000, clock);
    await limit.take(1000, never);
    clock.time += 100_000;
    const started = clock.time;
    for (let i = 0; i < 10; i++) await limit.take(1000, never);
    assert.ok(clock.time - started >= 8500, `${clock.time - started} ms for ten seconds of bytes`);
  });

  test('serves requests that come at once one after the other', async () => {
    const waits: number[] = [];
    const clock: Clock = { now: () => 0, sleep: async (ms) => void waits.push(ms) };
    const limit = new RateLimit(1000, clock);
    await Promise.all([100, 200, 300].map((bytes) => limit.take(bytes, never)));
    assert.deepEqual(waits, [100, 300]);
  });

  test('an abort ends the wait', async () => {
    const stop = new AbortController();
    const limit = new RateLimit(1, undefined);
    await limit.take(1000, stop.signal);
    const waiting = limit.take(1, stop.signal);
    stop.abort();
    await waiting;
  });
});

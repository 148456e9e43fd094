/** Keeps the bytes of a run below a rate. */

import { setTimeout as delay } from 'node:timers/promises';

/** Time that a pause left unused is made up for, up to this long. Milliseconds. */
const MEMORY_MS = 250;

/** Resolves when so many bytes may move. */
export type Pace = (bytes: number) => Promise<void>;

export interface Clock {
  /** Milliseconds. */
  readonly now: () => number;
  /** Resolves after so many milliseconds, or when the signal is aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  sleep: async (milliseconds, signal) => {
    // An abort ends the wait; what it means is the caller's business.
    await delay(milliseconds, undefined, { signal }).catch(() => undefined);
  },
};

/**
 * Gives each request the time after which the rate is kept, however the requests come: the exact
 * rate over any stretch that is long against MEMORY_MS. Requests are served in their order.
 */
export class RateLimit {
  /** To be called with the bytes that are about to be moved; undefined where there is no limit. */
  static pace(bytesPerSecond: number | undefined, signal: AbortSignal): Pace | undefined {
    if (bytesPerSecond === undefined) return undefined;
    const limit = new RateLimit(bytesPerSecond);
    return (bytes) => limit.take(bytes, signal);
  }

  readonly #bytesPerMs: number;
  readonly #clock: Clock;
  /** When the bytes granted so far are used up. */
  #usedUp: number;

  /** Bytes a second. */
  constructor(bytesPerSecond: number, clock: Clock = REAL_CLOCK) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#clock = clock;
    this.#usedUp = clock.now();
  }

  /** Resolves when the bytes may move, or the signal is aborted. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    const start = Math.max(this.#usedUp, now - MEMORY_MS);
    this.#usedUp = start + bytes / this.#bytesPerMs;
    if (start > now) await this.#clock.sleep(start - now, signal);
  }
}

/** Repeatable randomness: LVMSYNC_TEST_SEED sets the seed, which is printed unless the caller chose it. */

import { createCipheriv } from 'node:crypto';

export class Random {
  readonly seed: number;
  /** A cipher fills a whole device in no time, even in the guest. */
  readonly #stream;

  constructor(seed?: number) {
    this.seed = seed ?? chosenSeed();
    const key = Buffer.alloc(16);
    key.writeUInt32LE(this.seed >>> 0);
    this.#stream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
    if (seed === undefined) console.log(`seed ${this.seed} (set LVMSYNC_TEST_SEED to repeat)`);
  }

  /** A whole number of [0, bound), bound <= 2^32. */
  below(bound: number): number {
    return this.bytes(6).readUIntLE(0, 6) % bound;
  }

  bytes(length: number): Buffer {
    return this.#stream.update(Buffer.alloc(length));
  }

  /** Different numbers below `limit`, in random order. */
  distinct(count: number, limit: number): number[] {
    const chosen = new Set<number>();
    while (chosen.size < count) chosen.add(this.below(limit));
    return [...chosen];
  }
}

function chosenSeed(): number {
  return Number(process.env.LVMSYNC_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
}

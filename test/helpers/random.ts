/** Repeatable randomness: LVMSYNC_TEST_SEED sets the seed, which is printed unless the caller chose it. */

export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed?: number) {
    this.seed = seed ?? chosenSeed();
    this.#state = this.seed >>> 0;
    if (seed === undefined) console.log(`seed ${this.seed} (set LVMSYNC_TEST_SEED to repeat)`);
  }

  /** A whole number of [0, bound), bound <= 2^32. */
  below(bound: number): number {
    // Mulberry32.
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at++) bytes[at] = this.below(256);
    return bytes;
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

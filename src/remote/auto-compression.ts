/** Decides under --compress=auto whether compressing would make a run faster. */

/** Judged after this much of a stream. Bytes, milliseconds. */
const BYTES_TO_JUDGE = 16 * 1024 * 1024;
const TIME_TO_JUDGE_MS = 500;

/** The link is what a run waits for if waiting for it takes this share of the time. */
const LINK_SHARE = 0.5;

/**
 * Watches how long the writing of groups takes, which is how long the link takes: reading goes on
 * meanwhile. Whether the data shrink is for others to look at.
 */
export class AutoCompression {
  readonly #started: number;
  readonly #now: () => number;
  #waited = 0;
  #bytes = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#started = now();
  }

  /** Runs the writing of a group, which resolves with its bytes. */
  async measure(write: () => Promise<number>): Promise<void> {
    const before = this.#now();
    this.#bytes += await write();
    this.#waited += this.#now() - before;
  }

  /** Whether the link held up the run so far. */
  get linkIsBottleneck(): boolean {
    const elapsed = this.#now() - this.#started;
    if (this.#bytes < BYTES_TO_JUDGE || elapsed < TIME_TO_JUDGE_MS) return false;
    return this.#waited / elapsed >= LINK_SHARE;
  }
}

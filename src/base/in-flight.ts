/** A bound on how much work runs at once, and the one place where its failures are collected. */

export class InFlight {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  #failed = false;
  #failure: unknown;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Starts the work as soon as there is room. Throws the first failure of any earlier work. */
  async start(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#limit && !this.#failed) await Promise.race(this.#running);
    if (this.#failed) throw this.#failure;
    const running: Promise<void> = work()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits until nothing runs any more, failed or not; then throws the first failure. */
  async finish(): Promise<void> {
    await this.settle();
    if (this.#failed) throw this.#failure;
  }

  /** Waits until nothing runs any more; never throws. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #fail(error: unknown): void {
    if (!this.#failed) this.#failure = error;
    this.#failed = true;
  }
}

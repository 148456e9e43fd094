/** The wait for a list of changes that is shorter than the kernel's count of them, as long as it grows. */

import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitRules {
  /** Ends the wait, which then rejects. */
  readonly signal?: AbortSignal;
  /** Called once, where it takes long. */
  readonly onSlow?: (listed: number, counted: number) => void;
  /** Milliseconds without growth after which it is over; given by tests. */
  readonly patience?: number;
}

/** A store that takes seconds a write grows in less, all its writes under way. Milliseconds. */
const PATIENCE_MS = 40_000;
/** The first pause; each is twice as long as the one before, up to the longest. Milliseconds. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5000;
/** From here on somebody wonders what it does. Milliseconds. */
const SLOW_MS = 5000;

export class ListWait {
  readonly #rules: WaitRules;
  readonly #begun = performance.now();
  #grownAt = this.#begun;
  #listed = -1;
  #pause = FIRST_PAUSE_MS;
  #told = false;

  constructor(rules: WaitRules) {
    this.#rules = rules;
  }

  /** Resolves after a pause with true; with false at once where nothing came for too long. */
  async mayGrow(listed: number, counted: number): Promise<boolean> {
    const { signal, onSlow, patience = PATIENCE_MS } = this.#rules;
    const now = performance.now();
    if (listed > this.#listed) this.#grownAt = now;
    this.#listed = listed;
    if (now - this.#grownAt >= patience) return false;
    if (!this.#told && now - this.#begun >= SLOW_MS) {
      onSlow?.(listed, counted);
      this.#told = true;
    }
    await sleep(Math.min(this.#pause, patience), undefined, { signal });
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS);
    return true;
  }
}

/** How many bytes a run has moved or compared, over all that it does one after another. */

import type { Progress } from './progress.js';

/** How full what a cycle depends on was when its run began, from 0 to 1. */
export interface StoreUse {
  /** The snapshot that the run begins from. */
  readonly base?: number;
  /** Bytes that such a snapshot should have. */
  readonly wanted?: number;
  /** Of a thin pool. */
  readonly data?: number;
  readonly metadata?: number;
}

export class RunTally {
  /** Empty where it is not known. */
  storeUse: StoreUse = {};
  #before = 0;
  #activity: string | undefined;
  #done = 0;

  /** To be called with every report. */
  note({ activity, doneBytes, isPreparation }: Progress): void {
    if (isPreparation) return;
    // The next activity, or the same one begun anew, counts from nothing.
    if (activity !== this.#activity || doneBytes < this.#done) this.#before += this.#done;
    this.#activity = activity;
    this.#done = doneBytes;
  }

  /** To be called with the amount that the activity under way has moved in all. */
  settle(bytes: number): void {
    this.#done = bytes;
  }

  get bytes(): number {
    return this.#before + this.#done;
  }
}

/** A few of the places that a run writes, each as likely as any other batch's. */

import type { Operations } from '../host/native.js';

export const MOST_PLACES = 16;

export class PlaceSample {
  readonly #offsets: number[] = [];
  #batches = 0;

  /** To be called with each batch that is written. */
  add(operations: Operations): void {
    const count = operations.length / 3;
    if (count === 0) return;
    this.#batches++;
    const offset = operations[3 * Math.floor(Math.random() * count)] ?? 0;
    // A reservoir: each batch stays with the same probability, however many come.
    const place =
      this.#offsets.length < MOST_PLACES
        ? this.#offsets.length
        : Math.floor(Math.random() * this.#batches);
    if (place < MOST_PLACES) this.#offsets[place] = offset;
  }

  /** Bytes into the device. */
  get offsets(): readonly number[] {
    return this.#offsets;
  }
}

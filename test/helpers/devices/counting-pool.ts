/** A pool that knows how many of its slabs are lent. */

import { type Slab, SlabPool } from '../../../src/device/block-device.js';

export class CountingPool extends SlabPool {
  #leased = 0;
  #mostLeased = 0;

  get leased(): number {
    return this.#leased;
  }

  get mostLeased(): number {
    return this.#mostLeased;
  }

  override async lease(): Promise<Slab> {
    const slab = await super.lease();
    this.#leased++;
    this.#mostLeased = Math.max(this.#mostLeased, this.#leased);
    return slab;
  }

  override release(slab: Slab): void {
    this.#leased--;
    super.release(slab);
  }
}

/** The kernel's clock for the times of files: two writes within one tick of it leave the same time. */

import type { BigIntStats } from 'node:fs';

/** Milliseconds. A tick is 1 to 10 ms long, by the kernel's CONFIG_HZ; kernels since 6.13 tell writes apart that are looked at in between. */
const LONGEST_TICK = 20;

/** Returns when a further write to the file would leave another time than its last change did, which cannot be set back. */
export function awaitTickAfter(stats: Pick<BigIntStats, 'ctimeNs'> | undefined): void {
  if (stats === undefined) return;
  const passed = Date.now() - Number(stats.ctimeNs / 1_000_000n);
  if (passed < 0 || passed >= LONGEST_TICK) return;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LONGEST_TICK - passed);
}

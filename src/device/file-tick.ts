/** The kernel's clock for the times of files: two writes within one tick of it leave the same time. */

import { type BigIntStats, statSync } from 'node:fs';

/** Milliseconds. A tick is 1 to 10 ms long, by the kernel's CONFIG_HZ; kernels since 6.13 tell writes apart that are looked at in between. */
const LONGEST_TICK = 20;
/** A file that is written all the time has no time that says anything. */
const MOST_WAITS = 5;

/**
 * Of the file, at a moment when a further write would leave another time than that of its last change, which cannot
 * be set back. Blocks for the rest of the tick if need be. Undefined if there is none.
 */
export function statAfterTick(path: string): BigIntStats | undefined {
  for (let waits = 0; ; waits++) {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined || waits === MOST_WAITS) return stats;
    const passed = Date.now() - Number(stats.ctimeNs / 1_000_000n);
    if (passed < 0 || passed >= LONGEST_TICK) return stats;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LONGEST_TICK - passed);
  }
}

/** Cases that wait for other processes, several at a time. */

import { availableParallelism } from 'node:os';

/** Lanes at once: one a CPU, at most four. */
export const LANES = Math.min(4, availableParallelism());

/** Gives each lane the next item until none is left; `work` is told in which lane it is. */
export async function inLanes<T>(
  items: Iterable<T>,
  work: (item: T, lane: number) => Promise<void>,
): Promise<void> {
  const queue = items[Symbol.iterator]();
  const run = async (lane: number): Promise<void> => {
    for (let next = queue.next(); next.done !== true; next = queue.next()) {
      await work(next.value, lane);
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, lane) => run(lane)));
}

/** Again and again: which thread comes first, and so where in the run it is, differs each time. */
export function* repeated<T>(items: readonly T[], times: number): Generator<T> {
  for (let time = 0; time < times; time++) yield* items;
}

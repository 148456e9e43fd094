/** Says now and then that work goes on, for who would take silence for a stall. */

const EVERY_MS = 1000;

/** To be called often; `say` is called at most once in a second, and not in the first. */
export function signOfLife(
  say: () => void,
  clock: () => number = () => performance.now(),
): () => void {
  let said = clock();
  return () => {
    const now = clock();
    if (now - said < EVERY_MS) return;
    said = now;
    say();
  };
}

/** Calls `tick` while the work is under way: for work that reports nothing until its end. */
export async function ticking<T>(tick: () => void, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(tick, EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Says now and then that work goes on, for who would take silence for a stall. */

const EVERY_MS = 5000;

/** To be called often; `say` is called at most once in five seconds, and not in the first. */
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

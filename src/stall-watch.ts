/** Notices a peer that has stopped taking data, and ends it if the user set a limit. */

import type { Reporter } from './reporter.js';

/** A peer that took nothing for so long is reported. */
const REPORT_AFTER_MS = 30_000;
const LOOK_EVERY_MS = 500;

export interface StallWatch {
  readonly host: string;
  readonly reporter: Reporter;
  /** A count that grows while things move. */
  readonly progress: () => number;
  /** Seconds without progress after which `onTimeout` is called; undefined: never. */
  readonly timeoutSeconds: number | undefined;
  readonly onTimeout: () => void;
}

/** Runs until the returned function is called. */
export function watchForStall(watch: StallWatch): () => void {
  let seen = watch.progress();
  let since = performance.now();
  let reported = false;
  const timer = setInterval(() => {
    const now = performance.now();
    const current = watch.progress();
    if (current !== seen) {
      seen = current;
      since = now;
      reported = false;
    }
    const stalled = now - since;
    if (watch.timeoutSeconds !== undefined && stalled >= watch.timeoutSeconds * 1000) {
      clearInterval(timer);
      watch.onTimeout();
    } else if (stalled >= REPORT_AFTER_MS && !reported) {
      reported = true;
      const hint = watch.timeoutSeconds === undefined ? '; --timeout would end this' : '';
      watch.reporter.warn(
        `${watch.host}: nothing has moved for ${Math.round(stalled / 1000)} seconds${hint}`,
      );
    }
  }, LOOK_EVERY_MS);
  return () => clearInterval(timer);
}

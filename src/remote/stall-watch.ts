/** No wait for a peer is silent or without an end: it is reported soon, and ended at a limit. */

import { LvmsyncError } from '../base/errors.js';
import type { Reporter } from '../run/reporter.js';

/** Seconds until the person learns what is waited for. */
const TOLD_AFTER = 10;
const LOOK_EVERY_MS = 500;

/** Limits for who gave no --timeout, in seconds. */
export const LIMITS = {
  /** Logging in, and opening a device. */
  answer: 60,
  /** A chain may have very many links, and LVM's lock may be held. */
  chain: 300,
  /** Hashing a few MiB on a disk that is not well. */
  hashes: 600,
  /** For a stream: an old receiver may flush many GiB without a word. */
  stream: 3600,
} as const;

export interface StallWatch {
  readonly host: string;
  readonly reporter: Reporter;
  /** A count that grows while things move. */
  readonly progress: () => number;
  /** Seconds without progress after which `onTimeout` is called. */
  readonly limitSeconds: number;
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
    const stalled = (now - since) / 1000;
    if (stalled >= watch.limitSeconds) {
      clearInterval(timer);
      watch.onTimeout();
    } else if (stalled >= TOLD_AFTER && !reported) {
      reported = true;
      watch.reporter.warn(
        `${watch.host}: ${describeSilence(seen)} for ${Math.round(stalled)} s; giving up after ${watch.limitSeconds} s (see --timeout)`,
      );
    }
  }, LOOK_EVERY_MS);
  return () => clearInterval(timer);
}

function describeSilence(progress: number): string {
  return progress === 0 ? 'no answer' : 'nothing has moved';
}

export interface Silent {
  /** `[user@]host` as for ssh; undefined: this machine. */
  readonly host: string | undefined;
  /** As messages call it, where that is not the host. */
  readonly name?: string;
  /** The program that was to answer; default: lvmsync. */
  readonly program?: 'lvmsync' | 'sh';
}

/** The failure of who waited in vain. */
export function noAnswer(
  { host, name = host ?? 'this machine', program = 'lvmsync' }: Silent,
  seconds: number,
): LvmsyncError {
  const start = program === 'lvmsync' ? ' and that lvmsync starts there' : '';
  const check = host === undefined ? '' : `Check that you can log in to ${host}${start}. `;
  return new LvmsyncError('transport', `${name}: no answer for ${seconds} s: given up`, {
    hint: `${check}If it is only slow, use a longer --timeout.`,
  });
}

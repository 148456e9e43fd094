/** A lock for moments: of processes that change one small file at once. */

import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from './native.js';

/** Milliseconds. Whoever has it for longer is stuck, and one change may then be lost. */
const PATIENCE = 2000;
const EVERY = 5;

/** Does the work with a lock on the file of that path, which is made, and stays. Blocks. */
export function withFileLock<T>(path: string, work: () => T): T {
  const fd = openSync(path, 'a', 0o600);
  try {
    const deadline = Date.now() + PATIENCE;
    while (!native.lockFile(fd) && Date.now() < deadline) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, EVERY);
    }
    return work();
  } finally {
    closeSync(fd);
  }
}

/**
 * Does the work with a lock on the directory of that path. Undefined where others kept the lock for so many milliseconds,
 * or the file system has no locks: then the work was not done.
 */
export async function withDirectoryLock<T>(
  path: string,
  work: () => Promise<T>,
  patience = 60_000,
): Promise<{ readonly result: T } | undefined> {
  const fd = openSync(path, 'r');
  try {
    const deadline = performance.now() + patience;
    while (!native.lockFile(fd)) {
      if (performance.now() > deadline) return undefined;
      await sleep(EVERY);
    }
    return { result: await work() };
  } finally {
    closeSync(fd);
  }
}

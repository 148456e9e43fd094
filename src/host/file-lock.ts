/** A lock for moments: of processes that change one small file at once. */

import { closeSync, openSync } from 'node:fs';
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

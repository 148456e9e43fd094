/** Output of this program for a person or a script, written at once. */

import { writeSync } from 'node:fs';
import { errnoOf, messageOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';

export const STDOUT = 1;
const STDERR = 2;
const PAUSE_MS = 5;

/**
 * Synchronous, so that what was said is out even if the process ends right after it. Throws where it
 * cannot be written, but for a reader that is gone.
 */
export function writeWhole(fd: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'EPIPE') return;
      if (code !== 'EAGAIN') throw error;
      pause();
    }
  }
}

/** The answer of a command, on standard output. Throws (destinationWrite) where it cannot be written. */
export function writeOutput(text: string): void {
  try {
    writeWhole(STDOUT, text);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new LvmsyncError('destinationWrite', `standard output: ${reason}`, {
      hint: 'The output is incomplete.',
      cause,
    });
  }
}

/**
 * Words about a run, on standard error. They never change what the run does: where the terminal has
 * hung up, or the disk of a log is full, nobody can be told, and the work goes on or ends in order.
 */
export function writeWords(text: string): void {
  try {
    writeWhole(STDERR, text);
  } catch {
    // The exit status, and --metrics, still show how it ended.
  }
}

/** For a reader that is slow. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
}

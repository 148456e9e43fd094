/** What a person or a script reads of this program, written at once. */

import { writeSync } from 'node:fs';

export const STDOUT = 1;
export const STDERR = 2;

/** Synchronous, so that what was said is out even if the process ends right after it. */
export function writeWhole(fd: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      // A reader that is slow is waited for; one that is gone cannot be told anything.
      if (code === 'EAGAIN') continue;
      if (code === 'EPIPE') return;
      throw error;
    }
  }
}

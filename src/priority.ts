/** Makes this process, and what it starts, give way to others. */

import { setPriority as setNice } from 'node:os';
import { LvmsyncError } from './errors.js';
import { native } from './native.js';
import type { PriorityRequest } from './options.js';
import { listNames } from './virtual-files.js';

/** Linux keeps both for each thread, and new threads and processes take over those of their maker. */
export function setPriority({ nice, io }: PriorityRequest): void {
  for (const thread of listNames('/proc/self/task').map(Number)) {
    if (nice !== undefined) attempt('nice', () => setNice(thread, nice));
    if (io !== undefined) {
      attempt('ionice', () => native.setIoPriority(thread, io.ioClass, io.level));
    }
  }
}

function attempt(option: string, set: () => void): void {
  try {
    set();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : cause;
    // A thread may end while they are listed.
    if (code === 'ESRCH') return;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LvmsyncError('usage', `--${option}: it is refused (${why})`, { cause });
  }
}

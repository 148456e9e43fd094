/** Standard output for what is written by the native writer: its descriptor, and what a failed write means. */

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { type ExitName, LvmsyncError, withContext } from '../base/errors.js';
import { ioFailure } from '../device/block-device.js';
import type { NativeError } from '../host/native.js';
import { STDOUT } from '../host/write-fully.js';

/**
 * Standard output; if it is a pipe, opened once more so that writing to it never blocks, and a signal
 * can end a run whose output nobody reads. The descriptor we were given is shared with others, whose
 * writing must not change.
 */
export function openOutput(): number {
  if (!fstatSync(STDOUT).isFIFO()) return STDOUT;
  try {
    return openSync(`/proc/self/fd/${STDOUT}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // Its reader is gone, which the first write will say, or another user's: then it may block.
    return STDOUT;
  }
}

export function closeOutput(output: number): void {
  if (output !== STDOUT) closeSync(output);
}

/** Whether it keeps what is written, so that it can be flushed. */
export function keepsOutput(): boolean {
  const output = fstatSync(STDOUT);
  return output.isFile() || output.isBlockDevice();
}

/** What a failed write means. */
export interface CutOutput {
  /** The kind of failure where the reader of a pipe has gone. */
  readonly readerGone: ExitName;
  /** A sentence about what was written. */
  readonly state: string;
}

export function outputFailure(error: NativeError, { readerGone, state }: CutOutput): LvmsyncError {
  if (error.code === 'EPIPE') {
    return new LvmsyncError(
      readerGone,
      `standard output: its reader stopped reading at byte ${error.offset} (EPIPE)`,
      { state, cause: error },
    );
  }
  const action = error.syscall === 'fdatasync' ? 'flush' : 'write';
  const failure = { path: 'standard output', code: 'destinationWrite', action, error } as const;
  return withContext(ioFailure(failure), { state });
}

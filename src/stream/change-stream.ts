/** A change stream as its reader gives it out. */

import type { LvmsyncError } from '../base/errors.js';
import type { ExtentPairs, Operations } from '../host/native.js';
import type { Hello } from './control-frame.js';

export type StreamForm =
  /** As the original writes it. `leftover`: it also holds frames that an old receiver copied. */
  | { readonly form: 'classic'; readonly leftover: boolean; readonly empty: boolean }
  | { readonly form: 'framed'; readonly hello: Hello };

export interface Group {
  readonly operations: Operations;
  /** Pairs offset, length: to read as zeros. */
  readonly discards: ExtentPairs;
  readonly bytes: number;
  /** Hashes of what each block of the operations has to hold before it is written, see hash-lines. */
  readonly expected?: Uint8Array | undefined;
}

export interface ReaderEnd {
  /** Payload bytes past the destination's end: classic streams only. */
  readonly droppedBytes: number;
  /** A snapback whose last, never used group is damaged, or that has no END: why. */
  readonly tornTail: LvmsyncError | undefined;
  /** The sender says that its source was written while it was read. */
  readonly sourceChanged: boolean;
}

export interface ReadingRules {
  /** Bytes. */
  readonly deviceSize: number;
  /** Check classic streams. */
  readonly strict: boolean;
  /**
   * Something else tells that the run of this snapback was cut off: its first group, too, may be one
   * that was never used.
   */
  readonly mayBeUnused?: boolean;
}

/** A slab that holds any group of the format: 4 MiB, and a page for each of 1024 records. */
export const GROUP_SLAB_SIZE = 4 * 1024 * 1024 + 1025 * 4096;

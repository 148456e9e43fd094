/** The options that every command takes. */

import type { PriorityRequest } from '../host/priority.js';

/** `debug` includes `verbose`; `quiet` leaves errors only. */
export type Verbosity = 'quiet' | 'normal' | 'verbose' | 'debug';

export interface RunRequest {
  readonly verbosity: Verbosity;
  readonly priority?: PriorityRequest;
  /** A file for the figures of the run. */
  readonly metrics?: string;
  /** Each one line, for the person who typed this. */
  readonly warnings: readonly string[];
}

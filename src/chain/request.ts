/** A request to a chain. */

import type { KeepRule } from './keep.js';

export interface ChainRequest {
  /** On the destination's machine. */
  readonly directory: string;
  /** The stream is a full copy, with which the chain begins. */
  readonly init: boolean;
  /** Without any, everything is kept. */
  readonly keep: readonly KeepRule[];
}

/** A request for a cycle. */

import type { ChainRequest } from '../chain/keep.js';
import type { SendRequest } from '../remote/request.js';
import type { FillRequest } from '../source/request.js';
import type { Comparison } from '../stream/control-frame.js';
import type { FreezeHooks } from './freeze-hooks.js';

/** One turn of a cycle. */
export interface CycleRequest extends SendRequest, FillRequest {
  /** As typed: the volume whose snapshots are made. */
  readonly origin: string;
  /** The options of lvcreate for the size of a snapshot; `auto`: what the last ones needed. */
  readonly size: readonly string[] | 'auto' | undefined;
  readonly hooks: FreezeHooks;
  /** What the snapshots and the chain cannot tell is found by comparing. */
  readonly compare: Comparison | undefined;
  readonly chain: ChainRequest;
}

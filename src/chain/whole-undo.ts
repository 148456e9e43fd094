/** Whether a snapback that is applied by itself still holds what its run saved. */

import { UNTOUCHED, withContext } from '../base/errors.js';
import { interrupted } from '../run/interruption.js';
import type { CountedBy } from '../stream/counted-link.js';
import { inspectFile } from '../stream/inspection.js';
import { hasEndMark, lostEnd } from '../stream/lost-end.js';

const INCOMPLETE = {
  ...UNTOUCHED,
  hint: 'If it was copied, copy it again. --force applies the part that is left.',
};

export interface WholeUndo {
  readonly path: string;
  readonly streamId: Uint8Array;
  /** The parts of it that others count on. */
  readonly countedBy: readonly CountedBy[];
  /** Its run is known to have finished. */
  readonly finished: boolean;
}

/**
 * Throws (streamTruncated, streamCorrupt) for a file that does not hold what others count on, or that lost its end
 * since its run finished. It is read whole only where one of these may be; else each group is checked in turn.
 */
export async function requireWhole(undo: WholeUndo, signal: AbortSignal): Promise<void> {
  const { path, streamId, countedBy, finished } = undo;
  const mayLackEnd = finished && !(await hasEndMark(path, streamId));
  if (countedBy.length === 0 && !mayLackEnd) return;
  const { fault, tornTail } = await inspectFile(path, signal, { countedBy, mayBeUnused: true });
  if (signal.aborted) throw interrupted(signal, UNTOUCHED);
  if (fault !== undefined) throw withContext(fault, INCOMPLETE);
  if (finished && tornTail !== undefined) throw withContext(lostEnd(tornTail), INCOMPLETE);
}

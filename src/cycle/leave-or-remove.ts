/** What becomes of the new snapshot of a cycle run that failed. */

import { LvmsyncError, UNTOUCHED, UNTOUCHED_THERE, withContext } from '../base/errors.js';
import { withLvmPriority } from '../host/priority.js';
import type { Reporter } from '../run/reporter.js';
import { removeSnapshot } from './snapshots.js';
import { type CycleSnapshot, describeSnapshot } from './volumes.js';

export interface FailedTurn {
  readonly next: CycleSnapshot;
  /** Of the chain. */
  readonly tag: string;
  /** Those that were there before the run. */
  readonly snapshots: readonly CycleSnapshot[];
}

/**
 * Resolves with the failure. A destination that is refused was often named by mistake, and the corrected command does
 * not know the snapshot: so one that this run made is removed, where nothing of it can be there.
 */
export async function leaveOrRemove(
  error: unknown,
  { next, tag, snapshots }: FailedTurn,
  reporter: Pick<Reporter, 'info'>,
): Promise<unknown> {
  const isNew = snapshots.every(({ uuid }) => uuid !== next.uuid);
  if (isNew && isUntouched(error)) {
    try {
      await withLvmPriority(() => removeSnapshot(next, tag));
      return withContext(error, { state: `${error.state} The new snapshot was removed.` });
    } catch {
      // Then it is said that it stays.
    }
  }
  // One that overflowed, or whose source cannot serve, says itself what to do.
  const isOfSource = error instanceof LvmsyncError && error.code === 'sourceUnfit';
  if (!isOfSource)
    reporter.info(`${describeSnapshot(next)} stays: the same command continues with it.`);
  return error;
}

function isUntouched(error: unknown): error is LvmsyncError {
  if (!(error instanceof LvmsyncError) || error.code !== 'destinationUnfit') return false;
  return error.state === UNTOUCHED.state || error.state === UNTOUCHED_THERE.state;
}

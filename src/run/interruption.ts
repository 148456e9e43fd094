/** Runs that a signal or a failure ends in the middle. */

import { constants } from 'node:os';
import { type ErrorContext, InterruptedError, LvmsyncError, withContext } from '../base/errors.js';

/** Adds to a failure what state it left and what to do next; anything but an LvmsyncError stays as it is. */
export function describeFailure(error: unknown, left: ErrorContext): unknown {
  return error instanceof LvmsyncError ? withContext(error, left) : error;
}

/**
 * The error for a run that a signal stopped, or a failure elsewhere in it, which then is the reason of
 * the AbortSignal. What was written is durable by now.
 */
export function interrupted(signal: AbortSignal, left: ErrorContext = {}): LvmsyncError {
  if (signal.reason instanceof LvmsyncError) return withContext(signal.reason, left);
  const name = String(signal.reason);
  const number = Object.entries(constants.signals).find(([key]) => key === name)?.[1] ?? 0;
  return new InterruptedError(name, number, left);
}

/** A signal lets the group under way be written; a reader that takes nothing does not hold us longer. */
export function cancelSoonAfter(
  signal: AbortSignal,
  cancel: () => void,
  patienceMs = PATIENCE_MS,
): () => void {
  const onAbort = (): void => {
    setTimeout(cancel, patienceMs).unref();
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort);
  return () => signal.removeEventListener('abort', onAbort);
}

const PATIENCE_MS = 2000;

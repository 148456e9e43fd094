/** The state that a failed run left behind, and what to do next. */

import { type ErrorContext, LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import { SnapbackRemoved } from '../pipeline/snapback.js';
import type { WriteStage } from '../pipeline/write-stage.js';
import { undoCommand, undoTurnCommand } from '../remote/undo-hints.js';
import { describeFailure } from '../run/interruption.js';

/** The plan of a run for a destination, for the words after a failure. */
export interface FailedRun {
  readonly stage: WriteStage;
  readonly destination: string;
  /** Undefined where the stream does not tell. */
  readonly totalBytes: number | undefined;
  readonly snapback: string | undefined;
  /** The directory of the chain of which it is a turn, if it is one. */
  readonly chain?: string | undefined;
}

/** All of a turn of a chain was written, but its data were read at different moments. */
export class MixtureError extends LvmsyncError {}

/** All that is left of a snapback was put back. */
export class HalfUndoneError extends LvmsyncError {}

/** Adds it to a failure; anything but an LvmsyncError stays as it is. */
export function describeLeft(error: unknown, failed: FailedRun): unknown {
  if (error instanceof SnapbackRemoved) return describeFailure(error, goneLeft(failed));
  if (error instanceof MixtureError) return describeFailure(error, mixtureLeft(failed));
  if (error instanceof HalfUndoneError) return describeFailure(error, halfUndone(failed));
  return describeFailure(error, whatWasLeft(failed));
}

function whatWasLeft(failed: FailedRun): ErrorContext {
  const { stage, destination, totalBytes, snapback, chain } = failed;
  if (!stage.begun) return UNTOUCHED;
  const total = totalBytes === undefined ? '' : ` of ${humanSize(totalBytes)}`;
  const state = `${destination} is incomplete: ${humanSize(stage.writtenBytes)}${total} applied.`;
  if (snapback === undefined) return { state, hint: 'Run the same command again to complete it.' };
  if (chain !== undefined) {
    const undo = undoTurnCommand({ directory: chain, path: destination, host: undefined });
    const hint = `Run the same command again to complete it, or go back to the state before: ${undo}`;
    return { state, hint };
  }
  return {
    state,
    hint: `Undo it with: ${undoCommand({ snapback, path: destination, host: undefined })}; or keep this snapback and run the same command again with another snapback name.`,
  };
}

/** Everything was written, and flushed before the snapback was looked for. */
function goneLeft({ chain }: FailedRun): ErrorContext {
  const state =
    'Everything was written and flushed. The snapback is gone: this run cannot be undone.';
  if (chain === undefined) return { state };
  return { state, hint: 'Run the same command again to complete this cycle run.' };
}

function halfUndone({ destination }: FailedRun): ErrorContext {
  return {
    state: `${destination} is between two states: what is left of the snapback was put back.`,
    hint: 'Apply the whole snapback: if it was copied, copy it again.',
  };
}

/** To send the same stream again does not help. */
function mixtureLeft({ destination, snapback, chain = '' }: FailedRun): ErrorContext {
  const state = `${destination} was written completely, but may be inconsistent.`;
  const again = 'Make the stream again from a source that is not written';
  if (snapback === undefined) return { state, hint: `${again}, and apply that with --init.` };
  const undo = undoTurnCommand({ directory: chain, path: destination, host: undefined });
  return { state, hint: `${again}, or go back to the state before: ${undo}` };
}

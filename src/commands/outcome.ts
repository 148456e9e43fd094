/** The state that a failed run left behind, and what to do next. */

import type { ErrorContext } from '../base/errors.js';
import { UNTOUCHED } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import type { WriteStage } from '../pipeline/write-stage.js';
import { undoCommand, undoTurnCommand } from '../remote/remote-command.js';

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

export function whatWasLeft(failed: FailedRun): ErrorContext {
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

/** What every kind of run shares. */

import { constants } from 'node:os';
import { InterruptedError, LvmsyncError, withContext } from './errors.js';
import { native } from './native.js';
import type { Reporter } from './reporter.js';
import { humanSize } from './text.js';
import type { WriteStage } from './write-stage.js';

export interface RunContext {
  readonly reporter: Reporter;
  /** Aborted by the first signal; its reason is the signal's name. */
  readonly signal: AbortSignal;
  /** The command line, for a run that finds the destination locked. */
  readonly command: string;
  /** io_uring where the kernel allows it ("auto"), or one of "uring" and "threads". */
  readonly engine: string;
}

export function selectEngine({ engine, reporter }: RunContext): void {
  const { name, refused } = native.selectEngine(engine);
  const why = refused === null ? '' : ` (io_uring is refused: ${refused})`;
  reporter.verbose(`I/O through ${name}${why}`);
}

/** What a run was about to do to a destination, for the words after a failure. */
export interface Undertaking {
  readonly stage: WriteStage;
  readonly destination: string;
  /** Undefined where the stream does not tell. */
  readonly totalBytes: number | undefined;
  readonly snapback: string | undefined;
}

/** Adds to a failure what state it left and what to do next; anything but an LvmsyncError stays as it is. */
export function describeFailure(error: unknown, undertaking: Undertaking): unknown {
  if (!(error instanceof LvmsyncError)) return error;
  if (!undertaking.stage.begun) return withContext(error, { state: 'Nothing was written.' });
  return withContext(error, whatWasLeft(undertaking));
}

/** The error for a run that a signal stopped; everything written is durable by now. */
export function interrupted(signal: AbortSignal, undertaking?: Undertaking): InterruptedError {
  const name = String(signal.reason);
  const number = Object.entries(constants.signals).find(([key]) => key === name)?.[1] ?? 0;
  const context = undertaking?.stage.begun
    ? whatWasLeft(undertaking)
    : { state: 'Nothing was written.' };
  return new InterruptedError(name, number, undertaking === undefined ? {} : context);
}

function whatWasLeft({ stage, destination, totalBytes, snapback }: Undertaking): {
  state: string;
  hint: string;
} {
  const total = totalBytes === undefined ? '' : ` of ${humanSize(totalBytes)}`;
  const state = `${destination} is incomplete: ${humanSize(stage.writtenBytes)}${total} applied.`;
  if (snapback === undefined) return { state, hint: 'Run the same command again to complete it.' };
  return {
    state,
    hint: `Undo it with: lvmsync --apply ${snapback} ${destination}; or run the same command again with another snapback name, and keep this one.`,
  };
}

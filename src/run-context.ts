/** What every kind of run shares. */

import { constants } from 'node:os';
import { type ErrorContext, InterruptedError, LvmsyncError, withContext } from './errors.js';
import { native } from './native.js';
import { undoCommand, undoTurnCommand } from './remote-command.js';
import type { Reporter } from './reporter.js';
import { humanSize } from './text.js';
import type { WriteStage } from './write-stage.js';

export interface RunContext {
  readonly reporter: Reporter;
  /** Aborted by the first signal; its reason is the signal's name. */
  readonly signal: AbortSignal;
  /** The command line, for a run that finds the destination locked. */
  readonly command: string;
  /** Takes text for standard output: what the user asked to be told. */
  readonly print: (text: string) => void;
  /** Takes one line for the sender that started us. */
  readonly answer: (line: string) => void;
  /** Of ssh-agent, where one runs. */
  readonly agentSocket: string | undefined;
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
  /** The directory of the chain of which it is a turn, if it is one. */
  readonly chain?: string | undefined;
}

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

export function whatWasLeft(undertaking: Undertaking): ErrorContext {
  const { stage, destination, totalBytes, snapback, chain } = undertaking;
  if (!stage.begun) return { state: 'Nothing was written.' };
  const total = totalBytes === undefined ? '' : ` of ${humanSize(totalBytes)}`;
  const state = `${destination} is incomplete: ${humanSize(stage.writtenBytes)}${total} applied.`;
  if (snapback === undefined) return { state, hint: 'Run the same command again to complete it.' };
  if (chain !== undefined) {
    const undo = undoTurnCommand({ directory: chain, path: destination, host: undefined });
    const hint = `Take the same turn again, which completes it, or go back to what was held before: ${undo}`;
    return { state, hint };
  }
  return {
    state,
    hint: `Undo it with: ${undoCommand({ snapback, path: destination, host: undefined })}; or run the same command again with another snapback name, and keep this one.`,
  };
}

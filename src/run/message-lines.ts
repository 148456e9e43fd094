/** The forms of what a run says on stderr: lines for a person, or JSON for a program (docs/json.md). Pure. */

import { errorName, exitStatusOf, LvmsyncError } from '../base/errors.js';
import { formatObject } from '../base/json-object.js';
import { compressionRatio, type Fill, type Progress, secondsLeft } from './progress.js';

/** A JSON object of one line; its keys are documented. */
export type Message = Readonly<Record<string, unknown>> & { readonly type: string };

/** As a line, in which nothing can act on a terminal. */
export function formatMessage(message: Message, time: Date): string {
  const { type, ...rest } = message;
  return formatObject({ type, time: time.toISOString(), ...rest });
}

export function progressMessage(
  progress: Progress,
  bytesPerSecond: number | undefined,
  fills: readonly Fill[],
): Message {
  const { activity, doneBytes, totalBytes = null } = progress;
  return {
    type: 'progress',
    activity,
    doneBytes,
    totalBytes,
    bytesPerSecond: rounded(bytesPerSecond, 0),
    secondsLeft: rounded(secondsLeft(progress, bytesPerSecond), 1),
    compressionRatio: rounded(compressionRatio(progress), 2),
    fills: fills.map(({ name, what, percent }) => ({ name, what, percent: rounded(percent, 2) })),
  };
}

/** How a run ended that did not fail. */
export interface Outcome {
  readonly command: string;
  readonly exitStatus: number;
  /** For the whole run. */
  readonly seconds: number;
}

/** The amount that a run moved, for the lines at its end. */
export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
  /** Size of the source in bytes; undefined if the change stream does not state it. */
  readonly sourceSize: number | undefined;
}

export function resultMessage(
  { command, exitStatus, seconds }: Outcome,
  bytes: number,
  transfer: Transfer | undefined,
): Message {
  return {
    type: 'result',
    command,
    exitStatus,
    seconds: rounded(seconds, 3),
    bytes,
    transferredBytes: transfer?.bytes ?? null,
    transferSeconds: rounded(transfer?.seconds, 3),
    sourceBytes: transfer?.sourceSize ?? null,
  };
}

export function fatalMessage(error: unknown, trace: readonly string[] | undefined): Message {
  const [message = '', state = null, hint = null] = explain(error);
  const exitStatus = exitStatusOf(error);
  const name = errorName(error);
  return { type: 'fatal', exitStatus, name, message, state, hint, ...(trace && { trace }) };
}

/** The lines that a person reads. */
export function fatalLines(error: unknown): string[] {
  const [message = '', ...more] = explain(error);
  return [`FATAL ERROR: ${message}`, ...more.filter((line) => line !== undefined)];
}

/** The message, the state that was left, and what to do. */
function explain(error: unknown): [string, string | undefined, string | undefined] {
  if (error instanceof LvmsyncError) return [error.message, error.state, error.hint];
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return [
    `unexpected: ${text}`,
    undefined,
    'This is a bug in lvmsync. Please report it with what the same command prints under -d.',
  ];
}

/** The stack of an error and of what caused it. */
export function traceLines(error: unknown): string[] {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  let prefix = '';
  for (let link = error; link instanceof Error && !seen.has(link); link = link.cause) {
    seen.add(link);
    lines.push(...`${prefix}${link.stack ?? link.message}`.split('\n'));
    prefix = 'caused by: ';
  }
  return lines;
}

function rounded(value: number | undefined, digits: number): number | null {
  return value === undefined ? null : Number(value.toFixed(digits));
}

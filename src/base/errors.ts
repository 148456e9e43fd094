/**
 * Every way a run can fail, and the exit status of each. Callers that only test for non-zero keep
 * working; the finer codes tell a script what to do next.
 */

export const EXIT = {
  done: 0,
  usage: 1,
  /** Only for status; monitoring plugins have it for what is critical. */
  attention: 2,
  /** Applied, but bytes beyond the destination's end were dropped (classic streams only). */
  partlyBeyondEnd: 3,
  /** Only for verify. */
  different: 4,
  /**
   * The snapshot or its origin cannot serve: invalid, merging, transient, resized, not a snapshot; or
   * the source was written while it was read, and was to be quiet.
   */
  sourceUnfit: 10,
  sourceRead: 11,
  destinationUnfit: 12,
  destinationWrite: 13,
  streamTruncated: 14,
  streamCorrupt: 15,
  snapback: 16,
  transport: 17,
  pool: 18,
  locked: 19,
} as const;

export type ExitName = keyof typeof EXIT;

/** One line per exit status, as the help of a command and docs/troubleshooting.md print them. */
export const EXIT_MEANING: Readonly<Record<ExitName, string>> = {
  done: 'done: everything that was to be written is flushed',
  usage: 'wrong usage, or a failure that has no status of its own',
  attention: 'status: a cycle or a copy needs attention',
  partlyBeyondEnd: "applied, but bytes beyond the destination's end were dropped",
  different: 'verify: the destination differs from the source',
  sourceUnfit: 'the source is unfit: not a snapshot, overflowed, merging, not quiet',
  sourceRead: 'reading the source failed',
  destinationUnfit: 'the destination must not be written: too small, mounted, in use',
  destinationWrite: 'writing or flushing the destination failed',
  streamTruncated: 'the change stream ends too early',
  streamCorrupt: 'the change stream is damaged, or the file is not a change stream',
  snapback: 'the snapback already exists, or could not be written',
  transport: 'the connection or the remote command failed',
  pool: 'the thin pool or its metadata snap cannot be used',
  locked: 'another run of lvmsync is using the destination',
};

export interface ErrorContext {
  /** The state that the run left behind, and what to do next: each a whole sentence, printed after it. */
  readonly state?: string;
  readonly hint?: string;
  readonly cause?: unknown;
}

/** For a run that ended before its first byte. */
export const UNTOUCHED: ErrorContext = { state: 'Nothing was written.' };

/** The same at the receiver. */
export const UNTOUCHED_THERE: ErrorContext = { state: 'Nothing was written there.' };

/**
 * A failure a person can act on. `message` is one line: "subject: what happened (detail)".
 * Anything else that is thrown is a bug in this program.
 */
export class LvmsyncError extends Error {
  readonly code: ExitName;
  readonly state: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ExitName, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = 'LvmsyncError';
    this.code = code;
    this.state = context.state;
    this.hint = context.hint;
  }

  get exitStatus(): number {
    return EXIT[this.code];
  }
}

/** The same failure, with what is known of the state it left. */
export function withContext(error: LvmsyncError, context: ErrorContext): LvmsyncError {
  const state = context.state ?? error.state;
  const hint = [error.hint, context.hint].filter((part) => part !== undefined).join(' ');
  const merged = {
    cause: error,
    ...(state === undefined ? {} : { state }),
    ...(hint === '' ? {} : { hint }),
  };
  // Its exit status is not that of a name.
  if (error instanceof InterruptedError) {
    return new InterruptedError(error.signalName, error.signal, merged);
  }
  return new LvmsyncError(error.code, error.message, merged);
}

/** A signal ended the run between two batches; what was written by then is durable. */
export class InterruptedError extends LvmsyncError {
  readonly signalName: string;
  readonly signal: number;

  constructor(signalName: string, signal: number, context: ErrorContext = {}) {
    super('usage', `interrupted by ${signalName}`, context);
    this.name = 'InterruptedError';
    this.signalName = signalName;
    this.signal = signal;
  }

  override get exitStatus(): number {
    return 128 + this.signal;
  }
}

/** The status that a run ends with for it; of a bug in this program, that of all that has no own. */
export function exitStatusOf(error: unknown): number {
  return error instanceof LvmsyncError ? error.exitStatus : EXIT.usage;
}

/** Its name for a program. */
export function errorName(error: unknown): ExitName | 'interrupted' | 'unexpected' {
  if (error instanceof InterruptedError) return 'interrupted';
  return error instanceof LvmsyncError ? error.code : 'unexpected';
}

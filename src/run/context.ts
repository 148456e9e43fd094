/** Shared by every kind of run. */

import type { Reporter } from './reporter.js';

export interface RunContext {
  readonly reporter: Reporter;
  /** Aborted by the first signal; its reason is the signal's name. */
  readonly signal: AbortSignal;
  /** The command line, for a run that finds the destination locked. */
  readonly commandLine: string;
  /** Takes text for standard output: the answer that the user asked for. */
  readonly print: (text: string) => void;
  /** Takes one line for the sender that started us. */
  readonly answer: (line: string) => void;
  /** The socket of ssh-agent, where one runs. */
  readonly agentSocket: string | undefined;
  /** io_uring where the kernel allows it ("auto"), or one of "uring" and "threads". */
  readonly engine: string;
}

/** A run without a process of its own: many cases a second, where how a process ends is not in question. */

import { OWN_PROGRAM } from '../../../src/host/addon.js';
import type { Surroundings } from '../../../src/program.js';
import { perform } from '../../../src/program.js';
import type { RunContext } from '../../../src/run/context.js';
import { Reporter } from '../../../src/run/reporter.js';
import { CLI, type CliResult, type Engine } from './cli.js';

// What these runs start themselves is what a user starts, and starts faster than the modules.
(OWN_PROGRAM as unknown as string[])[1] = CLI;

/** What a test that sends by itself gives the program's own parts. What is said goes to `write`. */
export function contextOf(
  words: readonly string[],
  write: (text: string) => void = () => undefined,
  engine = 'auto',
): RunContext {
  return {
    reporter: new Reporter({ verbosity: 'normal', write, isTTY: false }),
    signal: new AbortController().signal,
    commandLine: ['lvmsync', ...words].join(' '),
    print: () => undefined,
    answer: () => undefined,
    agentSocket: undefined,
    engine,
  };
}

/** What `lvmsync WORDS` does, where it writes no change stream and is not the other side of one. Never rejects. */
export async function runInProcess(
  words: readonly string[],
  engine: 'auto' | Engine = 'auto',
): Promise<CliResult> {
  let stdout = '';
  let stderr = '';
  const around: Surroundings = {
    write: (text) => {
      stderr += text;
    },
    writeOutput: (text) => {
      stdout += text;
    },
    terminal: { isTTY: false, columns: 80 },
    stopping: () => new AbortController().signal,
    engine,
  };
  const { status } = await perform(words, around);
  return { status, signal: null, stdout: Buffer.from(stdout), stderr };
}

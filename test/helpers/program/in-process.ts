/** A run without a process of its own: many cases a second, where how a process ends is not in question. */

import { EXIT, LvmsyncError } from '../../../src/base/errors.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';
import { runApply } from '../../../src/commands/apply.js';
import { runCycle } from '../../../src/commands/cycle.js';
import { runDoctor } from '../../../src/commands/doctor/doctor.js';
import { runDump } from '../../../src/commands/dump.js';
import { runRollback } from '../../../src/commands/rollback.js';
import { runSync } from '../../../src/commands/sync.js';
import { runVerify } from '../../../src/commands/verify/verify.js';
import type { RunContext } from '../../../src/run/context.js';
import { Reporter } from '../../../src/run/reporter.js';
import type { CliResult } from './cli.js';

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

/** What `lvmsync WORDS` does, where that is no run of the other side. Never rejects. */
export async function runInProcess(
  words: readonly string[],
  engine: 'auto' | 'uring' | 'threads' = 'auto',
): Promise<CliResult> {
  let stdout = '';
  let stderr = '';
  const write = (text: string): void => {
    stderr += text;
  };
  const context = {
    ...contextOf(words, write, engine),
    print: (text: string) => {
      stdout += text;
    },
  };
  const status = await run(words, context);
  return { status, signal: null, stdout: Buffer.from(stdout), stderr };
}

async function run(words: readonly string[], context: RunContext): Promise<number> {
  try {
    const command = toCommand(parseOptions(words));
    if (command.kind === 'sync') return await runSync(command, context);
    if (command.kind === 'apply') return await runApply(command, context);
    if (command.kind === 'rollback') return await runRollback(command, context);
    if (command.kind === 'dump') return await runDump(command, context);
    if (command.kind === 'verify') return await runVerify(command, context);
    if (command.kind === 'cycle') return await runCycle(command, context);
    if (command.kind === 'doctor') return await runDoctor(command, context);
    throw new Error(`a run of kind ${command.kind} needs a process of its own`);
  } catch (error) {
    context.reporter.fatal(error);
    return error instanceof LvmsyncError ? error.exitStatus : EXIT.usage;
  }
}

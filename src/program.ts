/** The program: argv to a command, the command run, its outcome as an exit status. */

import { access } from 'node:fs/promises';
import { EXIT, exitStatusOf } from './base/errors.js';
import { VERSION_LINE } from './base/version.js';
import type { Command } from './cli/command.js';
import { formatCommandHelp, formatHelp } from './cli/help.js';
import { saysJson } from './cli/option-checks.js';
import { parseOptions } from './cli/option-grammar.js';
import { toCommand } from './cli/parse.js';
import { superviseCommands } from './host/command-supervision.js';
import { explainThreads } from './host/too-few-threads.js';
import { writeOutput, writeWords } from './host/write-fully.js';
import type { RunContext } from './run/context.js';
import { type MessageForm, Reporter } from './run/reporter.js';
import type { Verbosity } from './run/request.js';

/** Does what the words ask for, and ends the process with the exit status. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  const { status, didRun } = await perform(argv, OF_THE_PROCESS);
  process.exitCode = status;
  if (!didRun) return;
  // Where the addon cannot be loaded, nothing was started that could hold the process up.
  const addon = await import('./host/native.js').catch(() => undefined);
  // By itself Node would first wait for its compiler threads, and if one of these waits for a garbage
  // collection, which only this thread can do, for ever. All that a run says is written, and all that it
  // began has ended, when it resolves.
  if (addon === undefined) return;
  // As at every end: there is nothing of ours that listens, but what a user preloads may.
  process.emit('exit', status);
  addon.native.endProcess(status);
}

/** A command that is a run. */
type Run = Exclude<Command, { kind: 'version' | 'licenses' | 'help' }>;

interface Outcome {
  /** The exit status. */
  readonly status: number;
  /** Whether more than --version or --help was asked for. */
  readonly didRun: boolean;
}

/** Where a run says something, and what stops it. */
export interface Surroundings {
  /** Messages. */
  readonly write: (text: string) => void;
  /** Answers; throws where they cannot be written. */
  readonly writeOutput: (text: string) => void;
  readonly terminal: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'>;
  readonly stopping: (reporter: Reporter) => AbortSignal;
  /** How I/O is done: "auto", or one of the engines. */
  readonly engine: string;
}

const OF_THE_PROCESS: Surroundings = {
  write: writeWords,
  writeOutput,
  get terminal() {
    return process.stderr;
  },
  stopping: stopOnSignals,
  engine: process.env.LVMSYNC_IO_ENGINE ?? 'auto',
};

/** What the words ask for. Never rejects. */
export async function perform(argv: readonly string[], around: Surroundings): Promise<Outcome> {
  let didRun = false;
  const form = saysJson(argv) ? 'json' : 'text';
  let reporter = makeReporter('normal', form, around);
  const print = (text: string): number => {
    around.writeOutput(text);
    return EXIT.done;
  };
  try {
    const command = toCommand(parseOptions(argv));
    if (command.kind === 'version') return { status: print(VERSION_LINE), didRun };
    if (command.kind === 'licenses') {
      const { readLicenses } = await import('./host/addon.js');
      return { status: print(readLicenses()), didRun };
    }
    if (command.kind === 'help') {
      const { about } = command;
      return {
        status: print(about === undefined ? formatHelp() : formatCommandHelp(about)),
        didRun,
      };
    }
    didRun = true;
    reporter = makeReporter(command.verbosity, form, around);
    for (const warning of command.warnings) reporter.warn(warning);
    return { status: await runMeasured(command, { reporter, argv, around }), didRun };
  } catch (thrown) {
    const error = explainThreads(thrown);
    reporter.fatal(error);
    return { status: exitStatusOf(error), didRun };
  } finally {
    reporter.clearProgress();
  }
}

interface Asked {
  readonly reporter: Reporter;
  readonly argv: readonly string[];
  readonly around: Surroundings;
}

/** Runs it and keeps the figures of that. Throws what made it fail, as the last thing to be said. */
async function runMeasured(command: Run, asked: Asked): Promise<number> {
  const { reporter } = asked;
  const metrics = await openMetrics(command);
  const started = performance.now();
  const { exitStatus, failure } = await start(command, asked).then(
    (status) => ({ exitStatus: status, failure: undefined }),
    (error: unknown) => ({ exitStatus: exitStatusOf(error), failure: { error } }),
  );
  const seconds = (performance.now() - started) / 1000;
  const { bytes, storeUse } = reporter.tally;
  const figures = { exitStatus, seconds, bytes, storeUse, endedAt: Date.now() / 1000 };
  metrics?.save(figures, reporter);
  if (failure !== undefined) throw failure.error;
  reporter.result({ command: command.kind, exitStatus, seconds });
  return exitStatus;
}

async function openMetrics(
  command: Run,
): Promise<import('./commands/metrics-file.js').MetricsFile | undefined> {
  if (command.metrics === undefined) return undefined;
  const { MetricsFile } = await import('./commands/metrics-file.js');
  const { labelsOf, pathsOf } = await import('./commands/metrics-labels.js');
  return new MetricsFile(command.metrics, labelsOf(command), pathsOf(command));
}

async function start(command: Run, { reporter, argv, around }: Asked): Promise<number> {
  // Starts Node's threads for files. Where the system allows too few of them Node ends the process: here,
  // while nothing is claimed, and not after ours took the last.
  await access('/');
  if (command.priority !== undefined) {
    (await import('./host/priority.js')).setPriority(command.priority);
  }
  const signal = around.stopping(reporter);
  const { interrupted } = await import('./run/interruption.js');
  superviseCommands({
    signal,
    say: (text) => reporter.info(text),
    interruption: () => interrupted(signal),
  });
  return run(command, {
    reporter,
    signal,
    commandLine: ['lvmsync', ...argv].join(' '),
    // A line that a login prints may not have ended; an empty one is passed over.
    answer: (line) => around.writeOutput(`\n${line}`),
    print: (text) => {
      // On a terminal both go to the same line.
      reporter.clearProgress();
      around.writeOutput(text);
    },
    agentSocket: process.env.SSH_AUTH_SOCK,
    engine: around.engine,
  });
}

/** Each kind of run is loaded when it is needed: --version and --help do not wait for the addon. */
async function run(command: Run, context: RunContext): Promise<number> {
  switch (command.kind) {
    case 'sync':
      return (await import('./commands/sync.js')).runSync(command, context);
    case 'dump':
      return (await import('./commands/dump.js')).runDump(command, context);
    case 'inspect':
      return (await import('./commands/inspect.js')).runInspect(command, context);
    case 'changes':
      return (await import('./commands/changes/changes.js')).runChanges(command, context);
    case 'verify':
      return (await import('./commands/verify/verify.js')).runVerify(command, context);
    case 'hash':
      return (await import('./commands/verify/hash-blocks.js')).runHashBlocks(command, context);
    case 'chain':
      return (await import('./commands/chain.js')).runChain(command, context);
    case 'rollback':
      return (await import('./commands/rollback.js')).runRollback(command, context);
    case 'cycle':
      if (command.end) return (await import('./commands/end-cycle.js')).endCycle(command, context);
      return (await import('./commands/cycle.js')).runCycle(command, context);
    case 'pull':
      return (await import('./commands/pull/pull.js')).runPull(command, context);
    case 'serve':
      if (command.cycle.end)
        return (await import('./commands/pull/end-served.js')).endServed(command, context);
      return (await import('./commands/pull/serve.js')).runServe(command, context);
    case 'status':
      return (await import('./commands/status/status.js')).runStatus(command, context);
    case 'bench':
      return (await import('./commands/bench/bench.js')).runBench(command, context);
    case 'doctor':
      return (await import('./commands/doctor/doctor.js')).runDoctor(command, context);
    case 'apply':
      return (await import('./commands/apply.js')).runApply(command, context);
  }
}

/** The first signal ends the run after the batches under way; the second ends it at once. */
function stopOnSignals(reporter: Reporter): AbortSignal {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) return;
    process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM').removeAllListeners('SIGHUP');
    controller.abort(name);
    reporter.info(`${name}: finishing the batches in progress; press again to stop immediately`);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
  return controller.signal;
}

function makeReporter(
  verbosity: Verbosity,
  form: MessageForm,
  { write, terminal }: Surroundings,
): Reporter {
  const { isTTY = false } = terminal;
  return new Reporter({
    verbosity,
    form,
    write,
    isTTY,
    get columns() {
      return terminal.columns;
    },
  });
}

/** The command line program as a black box. */

import assert from 'node:assert/strict';
import { type ChildProcess, type SpawnSyncOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../../../src/base/errors.js';
import { canRunWarm, runWarm } from './warm.js';

export const CLI = fileURLToPath(new URL('../../../lvmsync.cjs', import.meta.url));

export interface CliResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** The two ways to do I/O; the variable LVMSYNC_IO_ENGINE forces one. */
export const ENGINES = ['uring', 'threads'] as const;
export type Engine = (typeof ENGINES)[number];

export type ToolOptions = Pick<SpawnSyncOptions, 'input' | 'stdio' | 'env' | 'cwd'>;

export interface CliOptions extends ToolOptions {
  readonly engine?: Engine;
  /** A file that becomes stdin. */
  readonly stdinFile?: string;
  /** A file that stdout is written to instead of being captured. */
  readonly stdoutFile?: string;
}

const LARGEST_OUTPUT = 256 * 1024 * 1024;

/** Runs it to its end. */
export function lvmsync(words: readonly string[], options: CliOptions = {}): CliResult {
  const { engine, stdinFile, stdoutFile, ...others } = options;
  const isPlain = Object.keys(options).every((name) => name === 'engine');
  if (isPlain && canRunWarm(words)) return runWarm(words, engine);
  const argv = [process.execPath, CLI, ...words];
  const settings = engine === undefined ? others : { ...others, env: engineSetting(engine) };
  if (stdinFile === undefined && stdoutFile === undefined) return runTool(argv, settings);
  const stdin = stdinFile === undefined ? 'ignore' : openSync(stdinFile, 'r');
  const stdout = stdoutFile === undefined ? 'pipe' : openSync(stdoutFile, 'w');
  try {
    return runTool(argv, { ...settings, stdio: [stdin, stdout, 'pipe'] });
  } finally {
    for (const stream of [stdin, stdout]) if (typeof stream === 'number') closeSync(stream);
  }
}

/** The environment of a run with the given engine, or with the one the program chooses. */
export function engineSetting(engine?: Engine): NodeJS.ProcessEnv {
  return engine === undefined ? process.env : { ...process.env, LVMSYNC_IO_ENGINE: engine };
}

/** Runs any program to its end; throws if it cannot be started. */
export function runTool(argv: readonly string[], options: ToolOptions = {}): CliResult {
  const [program = '', ...words] = argv;
  const given = { maxBuffer: LARGEST_OUTPUT, ...options };
  const { status, signal, stdout, stderr, error } = spawnSync(program, words, given);
  if (error !== undefined) throw error;
  return {
    status,
    signal,
    stdout: Buffer.from(stdout ?? ''),
    stderr: String(stderr ?? ''),
  };
}

/** Whether strace works here; containers often forbid it. */
export function canTrace(): boolean {
  const { status, error } = spawnSync('strace', ['-o', '/dev/null', 'true']);
  return error === undefined && status === 0;
}

/** What most tests look at. */
export type Ending = Pick<CliResult, 'status' | 'stderr'>;

export interface RunningCli {
  readonly child: ChildProcess;
  /** What it said on stderr so far. */
  readonly said: () => string;
  /** Resolves when its stderr matches; rejects if it ends without that. */
  waitFor(pattern: RegExp): Promise<void>;
  readonly ended: Promise<CliResult>;
}

/** Opened as a shell does for `> /dev/null`. */
const NOWHERE = openSync('/dev/null', 'w');

/** Starts it with pipes for stdin and stderr; its stdout goes to that descriptor, or nowhere. */
export function startLvmsync(
  words: readonly string[],
  stdout = NOWHERE,
  program = CLI,
): RunningCli {
  const child = spawn(process.execPath, [program, ...words], { stdio: ['pipe', stdout, 'pipe'] });
  assert.ok(child.stdin !== null && child.stderr !== null);
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  // The program may be gone before all of its input is.
  child.stdin.on('error', () => undefined);
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const drained = once(child.stderr, 'close');
  const ended = (async () => {
    const [status, signal] = await exited;
    await drained;
    return { status, signal, stdout: Buffer.alloc(0), stderr };
  })();
  return { child, said: () => stderr, waitFor: (pattern) => waitFor(pattern), ended };

  async function waitFor(pattern: RegExp): Promise<void> {
    while (!pattern.test(stderr)) {
      const event = await Promise.race([once(child.stderr!, 'data'), ended]);
      if (!Array.isArray(event) && !pattern.test(stderr)) {
        assert.fail(`it ended without having said ${pattern}:\n${stderr}`);
      }
    }
  }
}

/** A refusal as a user has to see it: the status, one `FATAL ERROR:` line that matches, no stack trace. */
export function assertFails(result: Ending, status: number, message: RegExp): void {
  assert.equal(result.status, status, `exit status, with stderr:\n${result.stderr}`);
  const lines = result.stderr.split('\n').filter((line) => line !== '');
  const fatal = lines.filter((line) => line.startsWith('FATAL ERROR: '));
  assert.equal(fatal.length, 1, `exactly one fatal line in:\n${result.stderr}`);
  assert.match(fatal[0] ?? '', message);
  assert.doesNotMatch(result.stderr, /unexpected:|bug in lvmsync/);
  assert.doesNotMatch(result.stderr, /^\s+at .*:\d+/m, 'no stack trace');
}

export function assertSucceeds(result: Ending): void {
  assert.equal(result.status, 0, `exit status, with stderr:\n${result.stderr}`);
}

/** Runs lvmsync and asserts that it succeeded; returns the bytes it says it transferred. */
export function syncs(words: readonly string[], options: CliOptions = {}): number {
  const result = lvmsync(words, options);
  assert.equal(result.status, 0, `lvmsync ${words.join(' ')}:\n${result.stderr}`);
  const [, transferred] = /^Transferred (\d+) bytes in [\d.]+ seconds$/m.exec(result.stderr) ?? [];
  return Number(transferred ?? Number.NaN);
}

/**
 * Applies the snapback of a run that was stopped. One that was cut off before anything in it was
 * durable is refused, or was removed by its run; that had not overwritten anything then, which the
 * caller's comparison of the destination shows.
 */
export function applyBegunSnapback(snapback: string, destination: string): void {
  if (!existsSync(snapback)) return;
  const { status, stderr } = lvmsync(['--apply', snapback, destination]);
  const acceptable: (number | null)[] = [EXIT.done, EXIT.streamTruncated, EXIT.streamCorrupt];
  assert.ok(acceptable.includes(status), stderr);
}

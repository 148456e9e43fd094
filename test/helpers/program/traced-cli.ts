/** The command line program under strace, which makes its system calls fail or kills it at one. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { CLI, type CliResult } from './cli.js';

export interface Tracing {
  /** Files whose calls are traced; all others are left alone. */
  readonly paths: readonly string[];
  /** Names of system calls. */
  readonly calls: readonly string[];
  /** What to do to which of them, in the words of strace: "read:error=EIO:when=3". It counts by thread. */
  readonly inject?: string | undefined;
  /** Where the trace is written. */
  readonly output: string;
  /** A file that takes stdout. */
  readonly stdout?: string;
}

export interface TracedResult extends CliResult {
  /** The traced calls, a line each, and what came of the injection. */
  readonly trace: string;
}

/** Runs it to its end, with the engine whose calls strace can see. */
export async function tracedLvmsync(
  words: readonly string[],
  tracing: Tracing,
): Promise<TracedResult> {
  const { calls, inject, output } = tracing;
  const argv = ['-f', '-qq', '-y', '-s', '0', '-o', output, '-e', `trace=${calls.join(',')}`];
  for (const path of tracing.paths) argv.push('-P', path);
  if (inject !== undefined) argv.push('-e', `inject=${inject}`);
  const result = await runProcess('strace', [...argv, process.execPath, CLI, ...words], tracing);
  return { ...result, trace: readFileSync(output, 'utf8') };
}

/** Runs a program that runs lvmsync to its end; unlike a synchronous one it leaves room for others. */
export async function runProcess(
  program: string,
  words: readonly string[],
  { stdout }: { readonly stdout?: string | undefined } = {},
): Promise<CliResult> {
  const output = openSync(stdout ?? '/dev/null', 'w');
  try {
    const child = spawn(program, words, {
      stdio: ['ignore', output, 'pipe'],
      env: { ...process.env, LVMSYNC_IO_ENGINE: 'threads' },
    });
    const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    const [[status, signal], said] = await Promise.all([closed, stderrOf(child.stderr)]);
    return { status, signal, stdout: Buffer.alloc(0), stderr: said.toString() };
  } finally {
    closeSync(output);
  }
}

async function stderrOf(stream: NodeJS.ReadableStream | null): Promise<Buffer> {
  return stream === null ? Buffer.alloc(0) : buffer(stream);
}

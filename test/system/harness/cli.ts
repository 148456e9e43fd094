// Inside the guest: run lvmsync as a user would, and judge how it ended.

import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type ToolResult, tryTool } from './tool.js';

/** The built command line program, seen from dist/test/system/harness. */
export const CLI = fileURLToPath(new URL('../../../lvmsync.cjs', import.meta.url));

/** The two ways to do I/O; the variable LVMSYNC_IO_ENGINE forces one. */
export const ENGINES = ['uring', 'threads'] as const;
export type Engine = (typeof ENGINES)[number];

export interface CliOptions {
  readonly engine?: Engine;
  /** A file that becomes stdin. */
  readonly stdinFile?: string;
  /** A file that stdout is written to instead of being captured. */
  readonly stdoutFile?: string;
}

/** Runs lvmsync to its end. */
export function lvmsync(words: readonly string[], options: CliOptions = {}): ToolResult {
  const stdin = options.stdinFile === undefined ? 'ignore' : openSync(options.stdinFile, 'r');
  const stdout = options.stdoutFile === undefined ? 'pipe' : openSync(options.stdoutFile, 'w');
  try {
    return tryTool([process.execPath, CLI, ...words], {
      stdio: [stdin, stdout, 'pipe'],
      env: engineSetting(options.engine),
    });
  } finally {
    for (const stream of [stdin, stdout]) if (typeof stream === 'number') closeSync(stream);
  }
}

/** The environment of a run with the given engine, or with the one the program chooses. */
export function engineSetting(engine?: Engine): NodeJS.ProcessEnv {
  return engine === undefined ? process.env : { ...process.env, LVMSYNC_IO_ENGINE: engine };
}

/** Runs lvmsync and asserts that it succeeded; returns the bytes it says it transferred. */
export function syncs(words: readonly string[], options: CliOptions = {}): number {
  const result = lvmsync(words, options);
  assert.equal(result.status, 0, `lvmsync ${words.join(' ')}:\n${result.stderr}`);
  const [, transferred] = /^Transferred (\d+) bytes in [\d.]+ seconds$/m.exec(result.stderr) ?? [];
  return Number(transferred ?? Number.NaN);
}

/** Exit statuses that the scenarios expect, as the README promises them. */
export const EXIT = {
  usage: 1,
  sourceUnfit: 10,
  sourceRead: 11,
  destinationUnfit: 12,
  destinationWrite: 13,
  streamTruncated: 14,
  streamCorrupt: 15,
  snapback: 16,
} as const;

/** Asserts a refusal: the status, one `FATAL ERROR:` line that matches, no stack trace. */
export function assertRefused(result: ToolResult, status: number, message: RegExp): void {
  assert.equal(result.status, status, `exit status, with stderr:\n${result.stderr}`);
  const fatal = result.stderr.split('\n').filter((line) => line.startsWith('FATAL ERROR: '));
  assert.equal(fatal.length, 1, `exactly one fatal line in:\n${result.stderr}`);
  assert.match(`${fatal[0]}`, message);
  assert.doesNotMatch(result.stderr, /^\s+at .*:\d+:\d+\)?$/m, 'no stack trace');
}

/**
 * Applies the snapback of a run that was stopped. One that was cut off before anything in it was
 * durable is refused, or was removed by its run; that had not overwritten anything then, which the
 * caller's comparison of the destination shows.
 */
export function applyBegunSnapback(snapback: string, destination: string): void {
  if (!existsSync(snapback)) return;
  const { status, stderr } = lvmsync(['--apply', snapback, destination]);
  const acceptable = [0, EXIT.streamTruncated, EXIT.streamCorrupt];
  assert.ok(acceptable.includes(status ?? -1), stderr);
}

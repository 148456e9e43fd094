/**
 * Puts the addon's build for tests in the place of the one that ships, so that its system calls can be
 * made to fail and can be recorded. Has to be imported before anything that loads the addon: on its
 * own, as the first import of a test file.
 */

import { createRequire } from 'node:module';

/** Calls first .. first + run - 1, counted from 1, fail with `error`, or else move at most `most` bytes. */
export interface FaultPlan {
  readonly first: number;
  /** Infinity: all that follow. */
  readonly run: number;
  /** An errno, or 0. */
  readonly error: number;
  /** Bytes; 0 for no limit. A flush moves none, and passes. */
  readonly most: number;
}

export interface Hit {
  /** pread, pwrite, read, writev, fsync, fdatasync, "ring read" or "ring write". */
  readonly call: string;
  readonly path: string;
  /** Bytes into the file; 0 for a flush or a pipe. */
  readonly offset: number;
}

export interface FaultOutcome {
  readonly calls: number;
  readonly injected: number;
  /** The first thousand. */
  readonly hits: readonly Hit[];
  /** Every flush, in order. */
  readonly flushes: readonly { readonly path: string; readonly failed: boolean }[];
}

export type CallEvent =
  /** From here on it may reach the medium, whole or in part. */
  | {
      readonly kind: 'write';
      readonly id: number;
      readonly path: string;
      readonly offset: number;
      readonly bytes: Buffer;
    }
  /** What it wrote, -1 on failure. Flushes that begin later cover it. */
  | { readonly kind: 'written'; readonly id: number; readonly result: number }
  | { readonly kind: 'flush'; readonly id: number; readonly path: string }
  | { readonly kind: 'flushed'; readonly id: number; readonly result: number }
  /** What went past the table, as the test tells it. */
  | { readonly kind: 'note'; readonly path: string };

interface ScriptedSyscalls {
  /** Of this process, from now on; the counts begin anew. */
  setFaults(plan: FaultPlan): void;
  /** What happened since; nothing fails any more. */
  takeOutcome(): FaultOutcome;
  /**
   * Records writes and flushes, with the engine of threads: those of a ring do not show. Each may
   * take up to `dawdle` microseconds longer, so that they overlap.
   */
  startRecording(dawdle: number, seed: number): void;
  takeRecording(): readonly CallEvent[];
  note(what: string): void;
}

const require = createRequire(import.meta.url);
const shipped = require.resolve('../../../../build/Release/lvmsync.node');
const forTests = require.resolve('../../../../build/Release/lvmsync_test.node');
if (require.cache[shipped] !== undefined) {
  throw new Error('the addon was loaded before scripted-syscalls.js could take its place');
}

export const syscalls = require(forTests) as ScriptedSyscalls;
require.cache[shipped] = require.cache[forTests];

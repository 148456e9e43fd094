/**
 * When a command has ended, and what it printed until then. Its pipes may end later: a process that it left
 * behind has them, too, such as a database session that holds a lock.
 */

import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { errnoOf } from '../base/errno.js';

export interface End {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: NodeJS.ErrnoException;
}

/** Never rejects. */
export function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ status: null, signal: null, error }));
    child.once('exit', (status, signal) => resolve({ status, signal }));
  });
}

/** So long nothing comes from a command that has ended and said all. Milliseconds. */
const LAST_WORDS_MS = 500;
/** A process that it left behind may print without end. */
const MOST_WAITS = 10;

/** Resolves when the command has ended, and its pipes have, too, or nothing more comes from them. */
export function allSaid(child: ChildProcess): Promise<void> {
  const closed = new AbortController();
  return new Promise((resolve) => {
    child.once('close', () => {
      closed.abort();
      resolve();
    });
    child.once('exit', () => void silence(child, closed.signal).then(resolve));
  });
}

async function silence(child: ChildProcess, closed: AbortSignal): Promise<void> {
  for (let waits = 0; waits < MOST_WAITS && !closed.aborted; waits++) {
    const before = heardBytes(child);
    await sleep(LAST_WORDS_MS, undefined, { signal: closed }).catch(() => undefined);
    // Were we stopped meanwhile, the time is over before what came is read.
    await turn();
    if (heardBytes(child) === before) return;
  }
}

function heardBytes({ stdout, stderr }: ChildProcess): number {
  const counts = [stdout, stderr].map((stream) =>
    stream !== null && 'bytesRead' in stream ? Number(stream.bytesRead) : 0,
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

export interface Collecting {
  /** Bytes of which the first are kept. */
  readonly keep: number;
  /** Output after it is thrown away: it is read all the same, so that whoever prints is not ended by it. */
  readonly until: Promise<void>;
  /** Called where more than that comes; what it returns is what the call fails with. */
  readonly onMore?: () => Error;
}

/** Reads on whatever comes, so that the command is never blocked. */
export async function collect(
  stream: Readable,
  { keep, until, onMore }: Collecting,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  let isOver = false;
  await new Promise<void>((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      if (isOver) return;
      if (size < keep) chunks.push(chunk.subarray(0, keep - size));
      size += chunk.length;
      if (size > keep && onMore !== undefined) reject(onMore());
    });
    stream.once('error', reject);
    void until.then(resolve);
  });
  isOver = true;
  if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
  return Buffer.concat(chunks).toString();
}

/** Milliseconds from SIGTERM until a command that does not end is killed. */
const KILL_AFTER_MS = 2000;

/** Ends it, with all that it started if it has a process group of its own. */
export function endCommand(
  child: ChildProcess,
  { hasGroup }: { readonly hasGroup: boolean },
): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const send = (signal: NodeJS.Signals): void => {
    if (hasGroup && child.pid !== undefined) killGroup(child.pid, signal);
    else child.kill(signal);
  };
  send('SIGTERM');
  const timer = setTimeout(() => send('SIGKILL'), KILL_AFTER_MS);
  child.once('exit', () => clearTimeout(timer));
}

function killGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    // It has ended just now.
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

/** Makes this process, and what it starts, give way to others. */

import { getPriority, setPriority as setNice } from 'node:os';
import { LvmsyncError } from './errors.js';
import { native } from './native.js';
import type { Nice, PriorityRequest } from './options.js';
import { listNames } from './virtual-files.js';

/** Of the kernel: what a thread has that was told nothing. */
const NO_IO_CLASS = 0;

/** What setPriority was told, and the nice value before it: the kernel's own state, for this process only. */
let given: { readonly request: PriorityRequest; readonly usualNice: number } | undefined;

/** Linux keeps all of it for each thread, and new threads and processes take over that of their maker. */
export function setPriority(request: PriorityRequest): void {
  given = { request, usualNice: getPriority() };
  for (const thread of listNames('/proc/self/task').map(Number)) apply(thread, request);
}

/**
 * Does the work, and what it starts, with the priority that the process was started with: others wait
 * for it. The threads of the addon keep theirs. Nothing else may be started meanwhile.
 */
export async function withUsualPriority<T>(work: () => Promise<T>): Promise<T> {
  if (given === undefined) return work();
  const { request, usualNice } = given;
  const main = process.pid;
  hurry(main, request, usualNice);
  try {
    return await work();
  } finally {
    apply(main, request);
  }
}

function apply(thread: number, { nice, io }: PriorityRequest): void {
  if (nice !== undefined) attempt('nice', () => setNiceOrIdle(thread, nice));
  if (io !== undefined) {
    attempt('ionice', () => native.setIoPriority(thread, io.ioClass, io.level));
  }
}

function setNiceOrIdle(thread: number, nice: Nice): void {
  if (nice === 'idle') native.setIdlePolicy(thread, true);
  else setNice(thread, nice);
}

/** Where that is not allowed, as for users but root, the work is done slowly. */
function hurry(thread: number, { nice, io }: PriorityRequest, usualNice: number): void {
  const steps = [
    () => nice === 'idle' && native.setIdlePolicy(thread, false),
    () => typeof nice === 'number' && setNice(thread, usualNice),
    () => io !== undefined && native.setIoPriority(thread, NO_IO_CLASS, 0),
  ];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  }
}

function attempt(option: string, set: () => void): void {
  try {
    set();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : cause;
    // A thread may end while they are listed.
    if (code === 'ESRCH') return;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LvmsyncError('usage', `--${option}: it is refused (${why})`, { cause });
  }
}

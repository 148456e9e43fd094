/** Makes this process, and what it starts, give way to others. */

import { getPriority, setPriority as setNice } from 'node:os';
import { messageOf, reasonOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';
import type { IoPriority } from './io-priority.js';
import { native } from './native.js';
import { listNames } from './virtual-files.js';

/** A nice value; `idle`: only what nobody else wants (SCHED_IDLE). */
export type Nice = number | 'idle';

/** How much of processor and disks a run may take while others want them. Absent: as it was started. */
export interface PriorityRequest {
  readonly nice?: Nice;
  readonly io?: IoPriority;
}

/** The kernel's default, for a thread without a setting. */
const NO_IO_CLASS = 0;

const LOWEST_NICE = 19;

/** The request that setPriority applied last, and the nice value before it. */
interface Given {
  readonly request: PriorityRequest;
  readonly usualNice: number;
}

/** Like the state in the kernel that it describes, this is the process's only one. */
let given: Given | undefined;

/** Linux keeps all of it for each thread, and new threads and processes take over that of their maker. */
export function setPriority(request: PriorityRequest): void {
  given = { request, usualNice: getPriority() };
  for (const thread of listNames('/proc/self/task').map(Number)) apply(thread, request);
}

/**
 * Does the work, and what it starts, with the priority that the process was started with: others wait
 * for it. The threads of the addon keep theirs. Nothing else may be started meanwhile.
 */
export function withUsualPriority<T>(work: () => Promise<T>): Promise<T> {
  return withPriority(({ usualNice }) => usualNice, work);
}

/**
 * The same for LVM's commands that change a group. While they suspend a volume they raise their nice value:
 * they only have to be able to. Until then, and from then on, they give way, but not as far as SCHED_IDLE
 * does: nobody else can change the group meanwhile.
 */
export function withLvmPriority<T>(work: () => Promise<T>): Promise<T> {
  return withPriority(({ request: { nice } }) => (nice === 'idle' ? LOWEST_NICE : nice), work);
}

async function withPriority<T>(
  niceOf: (one: Given) => number | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (given === undefined) return work();
  const { request, usualNice } = given;
  const main = process.pid;
  const isIdle = request.nice === 'idle';
  const nice = request.nice === undefined ? undefined : niceOf(given);
  tryAll([
    () => isIdle && native.setIdlePolicy(main, false),
    () => nice !== undefined && setNice(main, nice),
    () => request.io !== undefined && native.setIoPriority(main, NO_IO_CLASS, 0),
  ]);
  try {
    return await work();
  } finally {
    if (isIdle) tryAll([() => setNice(main, usualNice)]);
    apply(main, request);
  }
}

/** A priority that is not allowed, as to users but root, is left as it is: the work is done slowly. */
function tryAll(steps: readonly (() => unknown)[]): void {
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
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

function attempt(option: string, set: () => void): void {
  try {
    set();
  } catch (cause) {
    const code = reasonOf(cause);
    // A thread may end while they are listed.
    if (code === 'ESRCH') return;
    const why = messageOf(cause);
    throw new LvmsyncError('usage', `--${option}: not permitted (${why})`, { cause });
  }
}

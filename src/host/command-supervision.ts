/**
 * Keeps an eye on the commands that a run has started: says what one waits for that takes long, and ends
 * them when the first signal arrives. Without it a run that waits for LVM's lock would be silent, and
 * a signal would not reach the command that it waits for.
 */

import type { ChildProcess } from 'node:child_process';
import type { LvmsyncError } from '../base/errors.js';
import { findAwaitedLock } from './awaited-lock.js';

export interface Supervisor {
  /** Aborted by the first signal to this process. */
  readonly signal: AbortSignal;
  /** Takes one sentence for the user. */
  readonly say: (text: string) => void;
  /** The error of a call whose command was ended for that signal. */
  readonly interruption: () => LvmsyncError;
}

export interface Supervision {
  /** Call it when the command has ended. Throws (interrupted) if a signal broke it off. */
  readonly checkEnd: (status: number | null) => void;
  /** Says and ends nothing from now on. */
  readonly dismiss: () => void;
}

export interface Supervised {
  readonly child: ChildProcess;
  /** For messages. */
  readonly program: string;
  /**
   * What it has begun must not be broken off. It is ended only while it waits for a file lock: then it
   * has not begun. LVM blocks signals while it holds the lock of a group.
   */
  readonly shielded: boolean;
  /** It is expected to take long: that it does is said only if it waits for a lock. */
  readonly isSlow: boolean;
}

/** Milliseconds until the first words about a command, and from one to the next. */
const FIRST_WORDS_MS = 10_000;
const NEXT_WORDS_MS = 60_000;
/** Milliseconds from SIGTERM until a command that only asks is killed. */
const KILL_AFTER_MS = 2000;

let current: Supervisor | undefined;

/** From now on it supervises each command that this process starts: one process is one run. */
export function superviseCommands(supervisor: Supervisor): void {
  current = supervisor;
}

const UNSUPERVISED: Supervision = { checkEnd: () => undefined, dismiss: () => undefined };

/** Whoever calls it calls `dismiss` in the end. Does nothing where nobody supervises. */
export function supervise(command: Supervised): Supervision {
  const supervisor = current;
  if (supervisor === undefined) return UNSUPERVISED;
  const { signal } = supervisor;
  const timers: NodeJS.Timeout[] = [];
  let wasStopped = false;
  const started = performance.now();
  const speak = (): void => {
    const seconds = Math.round((performance.now() - started) / 1000);
    const words = describeWait(command, seconds);
    if (words !== undefined) supervisor.say(words);
    timers[0] = setTimeout(speak, NEXT_WORDS_MS).unref();
  };
  timers[0] = setTimeout(speak, FIRST_WORDS_MS).unref();
  const stop = (): void => {
    wasStopped = mayBeStopped(command);
    if (!wasStopped) return;
    command.child.kill('SIGTERM');
    if (command.shielded) return;
    timers[1] = setTimeout(() => giveUp(command), KILL_AFTER_MS);
  };
  signal.addEventListener('abort', stop, { once: true });
  return {
    checkEnd: (status) => {
      // One that got the lock in time has done what it was to do.
      if (wasStopped && !(command.shielded && status === 0)) throw supervisor.interruption();
    },
    dismiss: () => {
      signal.removeEventListener('abort', stop);
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

/** A process that it started may hold its pipes open. */
function giveUp({ child }: Supervised): void {
  child.kill('SIGKILL');
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function describeWait({ child, program, isSlow }: Supervised, seconds: number): string | undefined {
  const lock = child.pid === undefined ? undefined : findAwaitedLock(child.pid);
  if (lock === undefined) {
    return isSlow ? undefined : `${program}: still running after ${seconds} s: waiting`;
  }
  const { path = 'a file', holder } = lock;
  const who = holder === undefined ? 'another process' : `process ${holder.pid} (${holder.name})`;
  return `${program}: has waited for ${seconds} s for the lock ${path}, which ${who} holds`;
}

function mayBeStopped({ child, shielded }: Supervised): boolean {
  return !shielded || (child.pid !== undefined && findAwaitedLock(child.pid) !== undefined);
}

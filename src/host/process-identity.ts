/** Which process a record on disk speaks of, so that a reused pid is never taken for its owner. */

import { join } from 'node:path';
import { errnoOf } from '../base/errno.js';
import { readLine, readLink, readText } from './virtual-files.js';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, `starttime` of /proc/PID/stat. */
  readonly startTime: string;
  readonly bootId: string;
  /** `pid:[...]`: a pid means nothing outside its namespace. */
  readonly pidNamespace: string;
}

/** The identity of this process. Throws where `/proc` is not there. */
export function ownIdentity(root = ''): ProcessIdentity {
  const stat = readStat(root, process.pid);
  if (stat === undefined) throw new Error('/proc/self/stat: cannot be read; is /proc mounted?');
  return { pid: process.pid, startTime: stat.startTime, ...surroundings(root) };
}

/**
 * Whether the process has surely ended: another boot, no such pid, or a pid given out again. False
 * where that cannot be known, as of a process in another pid namespace.
 */
export function hasEnded(identity: ProcessIdentity, root = ''): boolean {
  const here = surroundings(root);
  if (identity.bootId !== here.bootId) return true;
  if (identity.pidNamespace !== here.pidNamespace) return false;
  const stat = readStat(root, identity.pid);
  if (stat === undefined) return !exists(identity.pid);
  return stat.startTime !== identity.startTime || stat.isDead;
}

/** Whether it is of this boot, but in another pid namespace, where its pid means something else. */
export function mayBeElsewhere(identity: ProcessIdentity): boolean {
  const here = surroundings('');
  return identity.bootId === here.bootId && identity.pidNamespace !== here.pidNamespace;
}

function surroundings(root: string): Pick<ProcessIdentity, 'bootId' | 'pidNamespace'> {
  return {
    bootId: readLine(join(root, '/proc/sys/kernel/random/boot_id')) ?? '',
    pidNamespace: readLink(join(root, '/proc/self/ns/pid')) ?? '',
  };
}

interface ProcessStat {
  readonly startTime: string;
  readonly isDead: boolean;
}

/** proc(5): the name in parentheses may hold anything, so fields are counted from its end. */
function readStat(root: string, pid: number): ProcessStat | undefined {
  const text = readText(join(root, '/proc', String(pid), 'stat'));
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, threads, startTime] = [fields[0] ?? '', fields[17] ?? '', fields[19]];
  if (startTime === undefined) return undefined;
  // A killed process is a zombie already while a thread of it still waits for its last write.
  return { startTime, isDead: state === 'X' || (state === 'Z' && Number(threads) <= 1) };
}

/** For a `/proc` mounted with hidepid, where another user's process cannot be seen. */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}

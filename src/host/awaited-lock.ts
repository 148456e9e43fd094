/** Which file lock a process waits for, and who holds it, as the kernel lists them. */

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { listNames, readLine, readLink, readText } from './virtual-files.js';

export interface AwaitedLock {
  /** The file; undefined where this user may not see it. */
  readonly path: string | undefined;
  /** Undefined where it cannot be seen from here, as in another pid namespace. */
  readonly holder: { readonly pid: number; readonly name: string } | undefined;
}

interface LockLine {
  /** A lock and those that wait for it share it. */
  readonly id: string;
  readonly waits: boolean;
  readonly pid: number;
  readonly inode: string;
}

/** Undefined if the process waits for none. A snapshot of a moment: for messages only. */
export function findAwaitedLock(pid: number, root = ''): AwaitedLock | undefined {
  const lines = parseLocks(readText(join(root, '/proc/locks')) ?? '');
  const wanted = lines.find((line) => line.waits && line.pid === pid);
  if (wanted === undefined) return undefined;
  const held = lines.find((line) => !line.waits && line.id === wanted.id);
  const name = held && readLine(join(root, '/proc', String(held.pid), 'comm'));
  return {
    path: findFile(pid, wanted.inode, root),
    holder: held !== undefined && name !== undefined ? { pid: held.pid, name } : undefined,
  };
}

/**
 * proc_locks(5): `1: -> FLOCK  ADVISORY  WRITE 123 00:19:4711 0 EOF`, the arrow only of those that wait.
 * The device number is not compared: overlay file systems show another one than stat(2).
 */
function parseLocks(text: string): LockLine[] {
  return text.split('\n').flatMap((line) => {
    const match = /^(\d+): (-> )?\w+ +\S+ +\S+ +(-?\d+) [^:\s]+:[^:\s]+:(\d+) /.exec(line);
    const [, id, arrow, pid, inode] = match ?? [];
    if (id === undefined || inode === undefined) return [];
    return [{ id, waits: arrow !== undefined, pid: Number(pid), inode }];
  });
}

/** The file with that inode that the process has open. */
function findFile(pid: number, inode: string, root: string): string | undefined {
  const folder = join(root, '/proc', String(pid), 'fd');
  const descriptor = listNames(folder).find((name) => inodeOf(join(folder, name)) === inode);
  return descriptor && readLink(join(folder, descriptor));
}

function inodeOf(path: string): string | undefined {
  try {
    return String(statSync(path, { bigint: true }).ino);
  } catch {
    return undefined;
  }
}

/** Where the lock files of runs on this machine are kept. */

import { accessSync, constants, existsSync, lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { errnoOf, messageOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';

/**
 * The first of `candidates` that is, or becomes, a directory of our own that nobody else can write.
 * An ordinary user cannot write to /run, so a run of root and one of a user do not see each other's
 * lock files: between those only the kernel's claim on the destination decides.
 */
export function openLockDirectory(candidates = lockDirectories()): string {
  const faults: string[] = [];
  for (const path of candidates) {
    const fault = prepare(path);
    if (fault === undefined) return path;
    faults.push(`${path}: ${fault}`);
  }
  throw new LvmsyncError('usage', `no usable directory for lock files (${faults.join('; ')})`);
}

/** The one in use, where there is one already; makes none. */
export function findLockDirectory(candidates = lockDirectories()): string | undefined {
  return candidates.find((path) => findFault(path) === undefined);
}

export type LockPlace =
  | { readonly kind: 'found'; readonly path: string }
  /** One for each candidate. */
  | { readonly kind: 'none'; readonly faults: readonly string[] };

/** The one that is used, or would be made; makes none. */
export function findLockPlace(candidates = lockDirectories()): LockPlace {
  const faults: string[] = [];
  for (const path of candidates) {
    const fault = existsSync(path) ? findFault(path) : parentFault(path);
    if (fault === undefined) return { kind: 'found', path };
    faults.push(`${path}: ${fault}`);
  }
  return { kind: 'none', faults };
}

function parentFault(path: string): string | undefined {
  try {
    accessSync(dirname(path), constants.W_OK);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function lockDirectories(): string[] {
  return ['/run/lvmsync', join(tmpdir(), `lvmsync-${process.getuid?.()}`)];
}

/** The reason why the directory cannot be used; undefined if it can. */
function prepare(path: string): string | undefined {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) return messageOf(error);
  }
  return findFault(path);
}

function findFault(path: string): string | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory() !== true) return 'not a directory';
  if (stats.uid !== process.getuid?.()) return `belongs to user ${stats.uid}`;
  if ((stats.mode & 0o022) !== 0) return 'others may write to it';
  return undefined;
}

function isErrno(error: unknown, code: string): boolean {
  return errnoOf(error) === code;
}

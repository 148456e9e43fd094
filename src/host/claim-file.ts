/**
 * The files by which runs claim a destination: a line of JSON that says whose it is, then a word in a
 * line for each thing that it gained. Here they are found and read; run-lock.ts writes them.
 */

import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { type FileOwner, ownerHasEnded } from './kernel-lock.js';
import { mayBeElsewhere } from './process-identity.js';

export interface Owner extends FileOwner {
  readonly command: string;
  /** For a run that receives one of several streams. */
  readonly set?: string | undefined;
}

export interface Rival {
  readonly name: string;
  readonly path: string;
  /** Undefined if the file is not one of ours: then it holds until somebody removes it. */
  readonly owner: Owner | undefined;
  readonly isHeld: boolean;
  readonly hasKernelClaim: boolean;
}

export const SUFFIX = '.lock';
export const HELD_LINE = 'held';
export const KERNEL_CLAIM_LINE = 'kernel';

/** The common beginning of the names of all claims under that key. */
export function claimPrefix(key: string): string {
  return `${key.replace(/[:/]/g, '-')}.`;
}

/** The treatment of claims of processes that have ended; none of them counts. */
export type Ended = 'remove' | 'leave';

export function listClaims(directory: string, prefix: string, ended: Ended): Rival[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith(prefix) && name.endsWith(SUFFIX))
    .flatMap((name) => readRival(name, join(directory, name), ended));
}

function readRival(name: string, path: string, ended: Ended): Rival[] {
  const unknown = { name, path, owner: undefined, isHeld: true, hasKernelClaim: false };
  let fd: number;
  try {
    // Something else may lie there, such as a fifo.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return existsSync(path) ? [unknown] : [];
  }
  try {
    const [record = '', ...gained] = readFileSync(fd, 'utf8').split('\n');
    const owner = parseOwner(record);
    if (owner === undefined) return [unknown];
    if (ownerHasEnded(owner, fd)) {
      if (ended === 'remove') rmSync(path, { force: true });
      return [];
    }
    const has = (line: string): boolean => gained.includes(line);
    return [{ name, path, owner, isHeld: has(HELD_LINE), hasKernelClaim: has(KERNEL_CLAIM_LINE) }];
  } catch {
    return [unknown];
  } finally {
    closeSync(fd);
  }
}

function parseOwner(record: string): Owner | undefined {
  let value: unknown;
  try {
    value = JSON.parse(record);
  } catch {
    return undefined;
  }
  return isOwner(value) ? value : undefined;
}

function isOwner(value: unknown): value is Owner {
  if (typeof value !== 'object' || value === null) return false;
  const fields: Partial<Record<keyof Owner, unknown>> = value;
  const { pid, startTime, bootId, pidNamespace, command, set } = fields;
  const texts = [startTime, bootId, pidNamespace, command, set ?? ''];
  return Number.isSafeInteger(pid) && texts.every((text) => typeof text === 'string');
}

/** The hint of a lock whose run is known, and will end. */
export const WAIT_FOR_RUN = 'Wait until that run has ended.';

export function locked(path: string, { owner, path: file }: Rival): LvmsyncError {
  if (owner === undefined) {
    return new LvmsyncError(
      'locked',
      `${path}: the lock file ${file} cannot be read, or is of another version`,
      {
        ...UNTOUCHED,
        hint: 'If no lvmsync is running on this destination, remove that file.',
      },
    );
  }
  const isElsewhere = mayBeElsewhere(owner);
  const place = isElsewhere ? ' in another container' : '';
  // Only its pid could show whether it still runs, and that means nothing here.
  const isUnknown = isElsewhere && owner.kernelLock !== true;
  const claim = isUnknown ? `, lock file ${file}` : '';
  const who = `process ${owner.pid}${place}: ${owner.command}${claim}`;
  return new LvmsyncError('locked', `${path}: another lvmsync is at work on it (${who})`, {
    ...UNTOUCHED,
    hint: isUnknown
      ? 'It cannot be seen from here whether that run is still active. Once it has ended, remove that file.'
      : WAIT_FOR_RUN,
  });
}

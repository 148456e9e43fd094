/** Small files that have to be whole after any crash, and the directories that name them. */

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

const OWNER_ONLY = 0o600;

interface Replacing {
  /** Default: only its owner can read it. */
  readonly mode?: number;
  /** Where it is written before it gets its name, in the same folder. Default: `PATH.draft`. */
  readonly draft?: string;
}

/**
 * The file has the former content or this one, and after it returned this one, whatever happens. Two at
 * once with one draft would disturb each other: the caller holds a lock.
 */
export function replaceDurably(path: string, text: string, options: Replacing = {}): void {
  closeSync(replaceAndKeepOpen(path, () => text, options));
}

/** Where a file is written that is about to get the name. */
export function draftOf(path: string): string {
  return `${path}.draft`;
}

/**
 * The same, with what `compose` makes of the descriptor of the new file, which nobody sees before it is
 * complete. Returns that descriptor, open.
 */
export function replaceAndKeepOpen(
  path: string,
  compose: (fd: number) => string,
  { mode = OWNER_ONLY, draft = draftOf(path) }: Replacing = {},
): number {
  // One that a crash left may have other rights, or be a link.
  rmSync(draft, { force: true });
  const fd = openSync(draft, 'wx', OWNER_ONLY);
  try {
    // Whatever the umask of who started us is.
    fchmodSync(fd, mode);
    // Unlike writeSync it goes on after a part, until all is written or the disk is full.
    writeFileSync(fd, compose(fd));
    fsyncSync(fd);
    renameSync(draft, path);
    syncDirectory(dirname(path));
    return fd;
  } catch (error) {
    closeSync(fd);
    discard(draft);
    throw error;
  }
}

/** The whole text. Throws the error of a system call; for what is not a regular file one with `ENOTSUP`. */
export function readRegular(path: string): string {
  // Opening a fifo would block until it has a writer, and no signal could end that.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (fstatSync(fd).isFile()) return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
  throw Object.assign(new Error('not a regular file'), { code: 'ENOTSUP' });
}

function discard(draft: string): void {
  try {
    rmSync(draft, { force: true });
  } catch {
    // The error that made the draft useless is the better answer.
  }
}

/** Files that were made, renamed or removed in it are durable when it returns. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

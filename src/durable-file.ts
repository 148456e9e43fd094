/** Small files that have to be whole after any crash, and the directories that name them. */

import { closeSync, constants, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const OWNER_ONLY = 0o600;

/**
 * The file has the former content or this one, and after it returned this one, whatever happens. Only
 * its owner can read it. Two at once on one path would disturb each other: the caller holds a lock.
 */
export function replaceDurably(path: string, text: string): void {
  const draft = `${path}.draft`;
  // One that a crash left may have other rights, or be a link.
  rmSync(draft, { force: true });
  const fd = openSync(draft, 'wx', OWNER_ONLY);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(draft, path);
  syncDirectory(dirname(path));
}

/** What was made, renamed or removed in it is durable when it returns. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

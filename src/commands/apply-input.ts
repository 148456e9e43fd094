/** The changes that a receiver reads: a file, or standard input. */

import { closeSync, constants, fstatSync, openSync, realpathSync } from 'node:fs';
import { isatty } from 'node:tty';
import { reasonOf } from '../base/errno.js';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { type DeviceIdentity, identityFromStat } from '../device/topology.js';

const STDIN = 0;

export interface Input {
  readonly fd: number;
  readonly name: string;
  /** Undefined for a pipe. */
  readonly identity: DeviceIdentity | undefined;
}

/** `-` is standard input. Throws (usage). The caller closes it with closeChanges. */
export function openChanges(path: string): Input {
  if (path === '-') {
    if (isatty(STDIN)) {
      throw new LvmsyncError('usage', 'standard input is a terminal, not a change stream');
    }
    return { fd: STDIN, name: 'standard input', identity: identityOf(STDIN) };
  }
  try {
    // Opening a fifo would block until it has a writer, and no signal could end that.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(fd).isDirectory()) return { fd, name: path, identity: identityOf(fd) };
    closeSync(fd);
  } catch (error) {
    const code = reasonOf(error);
    throw new LvmsyncError('usage', `${path}: cannot open the changes file (${code})`, {
      ...UNTOUCHED,
      ...(code === 'ENOENT' && { hint: 'Check its name.' }),
      cause: error,
    });
  }
  throw new LvmsyncError('usage', `${path}: a directory, not a changes file`, {
    ...UNTOUCHED,
    hint: 'Name a file in it: a change stream or a snapback.',
  });
}

export function closeChanges({ fd }: Input): void {
  if (fd !== STDIN) closeSync(fd);
}

/** The file that was named, or that standard input comes from; undefined for what can be read only once. */
export function filePathOf(path: string, identity: DeviceIdentity | undefined): string | undefined {
  if (identity?.kind !== 'file') return undefined;
  if (path !== '-') return path;
  try {
    return realpathSync(`/proc/self/fd/${STDIN}`);
  } catch {
    // It has no name any more.
    return undefined;
  }
}

function identityOf(fd: number): DeviceIdentity | undefined {
  return identityFromStat(fstatSync(fd, { bigint: true }));
}

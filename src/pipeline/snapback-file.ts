/** The file of a snapback: found to be one that may be made, with room for it, then opened. */

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { reasonOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import { humanSize } from '../base/text.js';
import {
  type DeviceIdentity,
  identityFromStat,
  identityKey,
  Topology,
} from '../device/topology.js';
import type { NativeExtentSet } from '../host/native.js';
import { HANDSHAKE } from '../stream/change-writer.js';
import type { Counted } from '../stream/counted-link.js';

export interface SnapbackTarget {
  readonly path: string;
  /** Replace a file of that name. */
  readonly overwrite: boolean;
  /** Files that the run needs: a snapback must not take the place of one. */
  readonly inUse?: readonly FileInUse[];
  /** Bytes that will be overwritten, at most, if that is known and there must be room for them. */
  readonly roomFor?: number | undefined;
  /** As many like it are made in the same place at once: there must be room for all. */
  readonly shares?: number | undefined;
  /** In others, undone after this one: it need not be saved again. */
  readonly saved?: Saved | undefined;
}

export interface FileInUse {
  readonly identity: DeviceIdentity | undefined;
  /** As a message calls it: "the destination". */
  readonly role: string;
}

/** Former content that is durable in some file. */
export interface Saved {
  /** Taken over by the snapback that is given it. */
  readonly extents: NativeExtentSet;
  readonly bytes: number;
  /** The link that the snapback with this counts on, and has to name. */
  readonly counted: Counted | undefined;
}

export interface OpenSnapback {
  readonly fd: number;
  /** False for /dev/null and fifos, which nothing can be flushed to. */
  readonly durable: boolean;
  /** It was not there before. */
  readonly fresh: boolean;
}

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
const OWNER_ONLY = 0o600;

export function openSnapback(place: SnapbackTarget): OpenSnapback {
  const { path, overwrite, inUse = [] } = place;
  try {
    const present = lstatSync(path, { throwIfNoEntry: false });
    if (present !== undefined && isSink(present)) {
      return { fd: openSync(path, O_WRONLY | O_NONBLOCK), durable: false, fresh: false };
    }
    refusePlace(path);
    if (present !== undefined && !overwrite) throw exists(path, inUse);
    // Before what it would replace is given up.
    requireRoom(place, present);
    const fresh = present === undefined;
    // A fifo that came in its place would block, and no signal could end that.
    const flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | (fresh ? O_EXCL : 0);
    const fd = openSync(path, flags, OWNER_ONLY);
    try {
      replaceContent(fd, path, inUse);
      return { fd, durable: true, fresh };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  } catch (error) {
    if (error instanceof LvmsyncError) throw error;
    if (errorCode(error) === 'EEXIST') throw exists(path, inUse);
    if (errorCode(error) === 'ENXIO') throw unread(path, error);
    throw cannotCreate(path, error);
  }
}

/** Where no file can be, or none that lasts. */
function refusePlace(path: string): void {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory()) throw noPlace(path, 'this is a directory');
  if (there?.isBlockDevice()) throw noPlace(path, 'this is a block device, not a file');
  if (there !== undefined || !/^\/dev\/(?!shm(\/|$))/.test(`${realpathSync(dirname(path))}/`))
    return;
  throw noPlace(path, '/dev is in memory, so the file would be lost at a restart');
}

function noPlace(path: string, why: string): LvmsyncError {
  return new LvmsyncError('snapback', `snapback ${path}: ${why}`, {
    state: UNTOUCHED,
    hint: 'Name a new file on a disk.',
  });
}

function unread(path: string, cause: unknown): LvmsyncError {
  return new LvmsyncError('snapback', `snapback ${path}: no process reads this fifo (ENXIO)`, {
    state: UNTOUCHED,
    hint: 'Start its reader first, or name a file.',
    cause,
  });
}

function cannotCreate(path: string, cause: unknown): LvmsyncError {
  return new LvmsyncError('snapback', `snapback ${path}: cannot create it (${errorCode(cause)})`, {
    state: UNTOUCHED,
    hint: hintToCreate(path, errorCode(cause)),
    cause,
  });
}

/** By the code of the error. */
export function hintToCreate(path: string, code: string): string {
  const folder = dirname(path);
  if (code === 'ENOENT' && !existsSync(folder)) {
    return `There is no directory ${folder}: create it, or name another place.`;
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return 'Make room there, or name a file on another file system.';
  }
  return 'Name a new file in a directory where you can create one.';
}

/** Throws what openSnapback would. Makes and changes nothing. */
export function checkSnapback(place: SnapbackTarget): void {
  const { path, overwrite, inUse = [] } = place;
  try {
    const present = lstatSync(path, { throwIfNoEntry: false });
    if (present !== undefined && isSink(present)) return;
    refusePlace(path);
    if (present !== undefined && !overwrite) throw exists(path, inUse);
    requireRoom(place, present);
    accessSync(present === undefined ? dirname(path) : path, constants.W_OK);
    if (present === undefined) return;
    refuseInUse(identityFromStat(lstatSync(path, { bigint: true })), path, inUse);
    refuseForeign(path, path);
  } catch (error) {
    throw error instanceof LvmsyncError ? error : cannotCreate(path, error);
  }
}

/** The state after a snapback that could not be begun. */
export const UNTOUCHED = 'The destination was not touched.';

/** Headers, marks and the file system's own records: less than this share, and this. */
const OVERHEAD_SHARE = 1 / 32;
const OVERHEAD = 1024 * 1024;

/** Bytes in a block as stat counts them, whatever the file system's own size. */
const STAT_BLOCK = 512;

/** An attempt before it has taken the rest of that: the same turn is not to fail for want of a block. */
const OVERHEAD_AGAIN = 128 * 1024;

/** Throws (snapback). The room that the file of that name takes up now counts as free: it will be emptied. */
export function requireRoom(target: SnapbackTarget, present?: Stats): void {
  const { path, roomFor, shares = 1, saved } = target;
  if (roomFor === undefined) return;
  const { bavail, bsize } = statfsSync(dirname(path));
  const free = bavail * bsize + (present?.blocks ?? 0) * STAT_BLOCK;
  const bytes = Math.max(0, roomFor - (saved?.bytes ?? 0));
  const overhead = saved === undefined ? OVERHEAD : OVERHEAD_AGAIN;
  const needed = shares * (bytes + bytes * OVERHEAD_SHARE + overhead);
  if (free >= needed) return;
  throw new LvmsyncError(
    'snapback',
    `snapback ${path}: not enough room: ${shares === 1 ? 'it needs' : `the ${shares} of this run need`} up to ${humanSize(needed)}, but only ${humanSize(free)} are free`,
    {
      state: UNTOUCHED,
      hint: 'Put it on another file system. --force tries anyway: if the disk fills up the run stops, and the part that was written can be undone.',
    },
  );
}

/** Its former content is given up only after it was seen that no file of this run is meant. */
function replaceContent(fd: number, path: string, inUse: readonly FileInUse[]): void {
  refuseInUse(identityFromStat(fstatSync(fd, { bigint: true })), path, inUse);
  refuseForeign(`/proc/self/fd/${fd}`, path);
  fchmodSync(fd, OWNER_ONLY);
  ftruncateSync(fd);
}

function refuseInUse(
  identity: DeviceIdentity | undefined,
  path: string,
  inUse: readonly FileInUse[],
): void {
  if (identity?.kind !== 'file') {
    throw new LvmsyncError('snapback', `snapback ${path}: not a regular file`, {
      state: UNTOUCHED,
    });
  }
  const topology = new Topology();
  for (const { identity: used, role } of inUse) {
    if (used === undefined) continue;
    const [same, carries] = [[used], topology.storedOn(used)].map((all) =>
      all.some((one) => identityKey(one) === identityKey(identity)),
    );
    if (!same && !carries) continue;
    const what = same ? `this is ${role}` : `this carries ${role}`;
    throw new LvmsyncError('snapback', `snapback ${path}: ${what}`, {
      state: UNTOUCHED,
      hint: 'Name a new file.',
    });
  }
}

/** Only a file of lvmsync is replaced, whole or cut off: a mistyped name may be that of anything. */
function refuseForeign(file: string, path: string): void {
  const fd = openSync(file, O_RDONLY | O_NONBLOCK);
  try {
    const head = Buffer.alloc(HANDSHAKE.length);
    const length = readSync(fd, head);
    if (HANDSHAKE.startsWith(head.toString('latin1', 0, length))) return;
  } finally {
    closeSync(fd);
  }
  throw new LvmsyncError(
    'snapback',
    `snapback ${path}: this is not an uncompressed file of lvmsync`,
    {
      state: 'Nothing was changed.',
      hint: '--snapback-overwrite replaces only empty files, snapbacks and uncompressed change files. Use a new name.',
    },
  );
}

function isSink(stats: Stats): boolean {
  return stats.isCharacterDevice() || stats.isFIFO();
}

/** Where it is something of this run, that is said instead: nobody is to overwrite it. */
function exists(path: string, inUse: readonly FileInUse[]): LvmsyncError {
  const present = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (present?.isFile()) refuseInUse(identityFromStat(present), path, inUse);
  if (present?.isSymbolicLink()) return noPlace(path, 'this is a symbolic link');
  return new LvmsyncError('snapback', `snapback ${path}: this file already exists`, {
    state: 'Nothing was changed.',
    hint: `Use a new name: --snapback ${newNameFor(path)}. To destroy the old file, which may be the only way to undo an earlier run, add --snapback-overwrite.`,
  });
}

/** As a person types it. With several streams the name that was given is what stands before the part. */
function newNameFor(path: string): string {
  return typedPath(`${path.replace(PART_OF_RUN, '')}.${timestamp()}`, undefined);
}

/** As snapbackOfPart of remote-command.ts adds it. */
const PART_OF_RUN = /\.\d+-of-\d+$/;

/** 20261123T031500Z */
function timestamp(): string {
  return new Date().toISOString().replace(/[-:]|\.\d+/g, '');
}

function errorCode(error: unknown): string {
  return reasonOf(error);
}

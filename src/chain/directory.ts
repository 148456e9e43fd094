/** The directory of a chain: made, locked, read. */

import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { errnoOf, reasonOf } from '../base/errno.js';
import { type ErrorContext, LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import { exactSize } from '../base/text.js';
import type { FileDevice } from '../device/block-device.js';
import type { SourceMember } from '../device/relation.js';
import { identifyPath } from '../device/topology.js';
import { syncDirectory } from '../host/durable-file.js';
import { acquireRunLock, type RunLock, requireUnlocked } from '../host/run-lock.js';
import { listNames } from '../host/virtual-files.js';
import { headKindsIn, mayBeUnnamed, stableIdentity } from '../stream/device-facts.js';
import { findLost, isLinkName, type LinkFiles, readLinks } from './link.js';
import type { ChainDestination, ChainRecord } from './record.js';
import { isGoingBack, RECORD_NAME, readRecord } from './record.js';

export interface ChainState {
  /** Undefined where no chain was begun. */
  readonly record: ChainRecord | undefined;
  readonly files: LinkFiles;
}

/** Throws (snapback) if it cannot be a chain; what is not there yet is empty. */
export async function readChain(directory: string): Promise<ChainState> {
  const stats = statDirectory(directory);
  if (stats === undefined) return { record: undefined, files: { links: [], others: [] } };
  const record = readRecord(directory);
  return { record, files: await readAllLinks(directory, record) };
}

/** A rollback that was cut off may have moved some of them already. */
async function readAllLinks(directory: string, record?: ChainRecord): Promise<LinkFiles> {
  const { links, others } = await readLinks(directory);
  if (record?.doing?.what !== 'rollback') return { links: findLost(links), others };
  const moved = await readLinks(join(directory, record.doing.folder));
  return {
    links: findLost([...links, ...moved.links]),
    others: [...others, ...moved.others],
  };
}

/**
 * Keeps every other run from changing the chain, but for those that receive streams of the same `set`. Throws (locked) if one is doing so, (snapback) if the
 * directory is not there or others may write to it.
 */
export async function lockChain(
  directory: string,
  command: string,
  set?: string,
): Promise<RunLock> {
  requireOwnDirectory(directory);
  return acquireRunLock(keyOf(directory), { path: directory, command, set });
}

/** Throws what lockChain would now. Changes nothing: what is returned locks nothing. */
export function checkChainFree(directory: string): Pick<RunLock, 'release'> {
  requireOwnDirectory(directory);
  requireUnlocked(keyOf(directory), { path: directory });
  return { release: () => undefined };
}

/** Throws (snapback). */
export function requireWritable(directory: string): void {
  try {
    accessSync(directory, constants.W_OK);
  } catch (cause) {
    throw unusable(directory, cause);
  }
}

/** For its owner only, durably, unless it is there already. Throws (snapback). */
export function makeChainDirectory(directory: string): void {
  if (statDirectory(directory) !== undefined) return;
  try {
    mkdirSync(directory, { mode: 0o700 });
    syncDirectory(dirname(resolve(directory)));
  } catch (cause) {
    // The receiver of another stream of this run was faster.
    if (errnoOf(cause) === 'EEXIST' && statDirectory(directory) !== undefined) return;
    throw unusable(directory, cause);
  }
}

const CHECK_NAME: ErrorContext = {
  ...UNTOUCHED,
  hint: 'Check its name: the restore points are where "lvmsync cycle" has its --snapback.',
};

function statDirectory(directory: string): Stats | undefined {
  let stats: Stats | undefined;
  try {
    stats = statSync(directory, { throwIfNoEntry: false });
  } catch (cause) {
    throw unusable(directory, cause);
  }
  if (stats === undefined && lstatSync(directory, { throwIfNoEntry: false }) === undefined) {
    return undefined;
  }
  if (stats?.isDirectory() === true) return stats;
  throw new LvmsyncError('snapback', `${directory}: not a directory`, {
    ...UNTOUCHED,
    hint: 'Restore points need a directory: the one that "lvmsync cycle" has as --snapback.',
  });
}

/**
 * Throws (snapback) if it is not there, or others may write to it: who can replace a snapback decides
 * what a rollback writes.
 */
export function requireOwnDirectory(directory: string): void {
  const stats = statDirectory(directory);
  if (stats === undefined) {
    throw new LvmsyncError('snapback', `${directory}: no such directory`, CHECK_NAME);
  }
  const fault = sharedWith(stats);
  if (fault === undefined) return;
  throw new LvmsyncError('snapback', `${directory}: this directory ${fault}`, {
    ...UNTOUCHED,
    hint: 'Keep the snapbacks of a chain in a directory that nobody else can change.',
  });
}

function sharedWith({ uid, mode }: Stats): string | undefined {
  if (uid !== process.getuid?.()) return `belongs to user ${uid}`;
  return (mode & 0o022) === 0 ? undefined : 'can be written by others';
}

function keyOf(directory: string): string {
  const { dev, ino } = statSync(directory, { bigint: true });
  return `file-${dev}/${ino}`;
}

/** `directory` cannot be looked at, made or written. */
export function unusable(directory: string, cause: unknown): LvmsyncError {
  const code = reasonOf(cause);
  return new LvmsyncError('snapback', `${directory}: cannot be used for a chain (${code})`, {
    ...UNTOUCHED,
    hint: nextStep(directory, errnoOf(cause)),
    cause,
  });
}

function nextStep(directory: string, code: string | undefined): string {
  const parent = typedPath(dirname(resolve(directory)), undefined);
  if (code === 'ENOENT') return `${parent} does not exist. Create it: mkdir -p ${parent}`;
  if (code === 'ENOTDIR') return `A part of ${parent} is a file: name another directory.`;
  return `Check the permissions of ${typedPath(resolve(directory), undefined)} and of ${parent}.`;
}

/** Its files: none of them may be the destination, under whatever name. A copy may lie beside them. */
export function chainMembers(directory: string | undefined): SourceMember[] {
  if (directory === undefined) return [];
  const isOwn = (name: string): boolean => name === RECORD_NAME || isLinkName(name);
  return listNames(directory)
    .filter(isOwn)
    .flatMap((name) => {
      const identity = identifyPath(join(directory, name));
      return identity?.kind === 'file' ? [{ identity, role: 'a file of the chain' }] : [];
    });
}

/** As the record of a chain names it. */
export async function describeDestination(device: FileDevice): Promise<ChainDestination> {
  const identity = (await stableIdentity(device)) ?? null;
  return { identity, path: resolve(device.path), size: device.size };
}

export interface Mismatch {
  readonly what: string;
  /** The next step for the user. */
  readonly hint: string;
}

const OTHER_DEVICE =
  'Name the destination of the chain. If this device now holds the copy, run the cycle once with --compare --force.';
const OTHER_SIZE = 'If it was only enlarged, use --force.';

/** Why that device is not the one of the record, or not as it left it; undefined if it is. */
export function destinationMismatch(
  { destination: recorded, doing }: Pick<ChainRecord, 'destination' | 'doing'>,
  actual: ChainDestination,
): Mismatch | undefined {
  const name = ({ path, identity }: ChainDestination): string =>
    identity === null ? path : `${path} (${identity})`;
  const isFile = recorded.identity === null && actual.identity === null;
  const byPath = recorded.identity === null && mayBeUnnamed(actual.identity);
  const same = byPath ? recorded.path === actual.path : recorded.identity === actual.identity;
  if (!same) {
    const what = `the chain belongs to ${name(recorded)}, not to ${name(actual)}`;
    return { what, hint: OTHER_DEVICE };
  }
  // A run that was cut off may have made a file longer or shorter.
  if (recorded.size === actual.size || (isFile && doing !== null)) return undefined;
  const what = `its size is ${exactSize(actual.size)}, but the chain recorded ${exactSize(recorded.size)}`;
  return { what, hint: OTHER_SIZE };
}

/** Throws (destinationUnfit). */
export function refuseMismatch(record: ChainRecord, actual: ChainDestination): void {
  const mismatch = destinationMismatch(record, actual);
  if (mismatch === undefined) return;
  const { what, hint } = mismatch;
  throw new LvmsyncError('destinationUnfit', `${actual.path}: ${what}`, { ...UNTOUCHED, hint });
}

/**
 * Throws (destinationUnfit) for the copy of another volume: where changes are counted from a snapshot that cannot
 * happen, but a comparison overwrites whatever is there.
 */
export function refuseOtherSource(
  { source: recorded }: Pick<ChainRecord, 'source'>,
  { source, path }: { readonly source: string | undefined; readonly path: string },
): void {
  if (recorded === undefined || recorded === source) return;
  const named = source ?? 'a volume without a UUID';
  throw new LvmsyncError(
    'destinationUnfit',
    `${path}: it is the copy of the volume with the UUID ${recorded}, not of ${named}`,
    {
      ...UNTOUCHED,
      hint: 'Name the volume that it is a copy of. If this one has taken its place, such as after a restore, use --force once.',
    },
  );
}

/**
 * What the copy may begin with (see head-kind): what the sources of its first full copy and of all links did, also of those that
 * the last rollback undid. None where there is no chain.
 */
export async function sourceKinds(directory: string | undefined): Promise<readonly string[]> {
  if (directory === undefined || !existsSync(directory)) return [];
  const record = readRecord(directory);
  if (record === undefined) return [];
  const { doing, undone: last, headKinds } = record;
  const undone = isGoingBack(doing) ? doing : last;
  const folders = undone === null ? [] : [join(directory, undone.folder)];
  const kinds = new Set(headKinds);
  for (const folder of [directory, ...folders.filter((one) => existsSync(one))]) {
    const { links } = await readLinks(folder);
    for (const { hello } of links)
      for (const kind of headKindsIn(hello.attributes)) kinds.add(kind);
  }
  return [...kinds];
}

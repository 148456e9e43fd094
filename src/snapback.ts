/**
 * The write-ahead log of a destination: what is about to be overwritten is durable here before the
 * destination is touched, so that applying it restores the former content after any crash.
 */

import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  rmSync,
  type Stats,
  statfsSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { ioFailure, type Slab } from './block-device.js';
import { ChangeWriter, type HelloFacts } from './change-writer.js';
import { type DeviceIdentity, identityFromStat, identityKey } from './device-topology.js';
import { syncDirectory } from './durable-file.js';
import { LvmsyncError } from './errors.js';
import { BATCH_LIMITS, regroup } from './extent.js';
import { isNativeError, native, type Operations } from './native.js';
import { humanSize } from './text.js';

export interface SnapbackOptions {
  readonly path: string;
  /** Replace a file of that name. */
  readonly overwrite: boolean;
  /** Of the destination. */
  readonly facts: Pick<HelloFacts, 'deviceSize' | 'attributes' | 'place'>;
  /** Offsets will be saved in ascending order. */
  readonly sorted: boolean;
  /** Files that the run needs: a snapback must not take the place of one. */
  readonly inUse?: readonly FileInUse[];
  /** Bytes that will be saved, at most, if that is known and there must be room for them. */
  readonly roomFor?: number | undefined;
}

export interface FileInUse {
  readonly identity: DeviceIdentity | undefined;
  /** As a message calls it: "the destination". */
  readonly role: string;
}

/** Whoever creates it calls close, after finish if the run came to its end. */
export class Snapback {
  readonly path: string;
  readonly #fd: number;
  readonly #durableMedium: boolean;
  readonly #writer: ChangeWriter;
  readonly #saved = new native.ExtentSet();
  #appends: Promise<void> = Promise.resolve();
  #syncing: Promise<void> | undefined;
  #appended = -1;
  #durable = -1;
  #savedBytes = 0;
  #closed = false;
  /** A file that this run made, and of which nothing was used. */
  #unused: boolean;

  private constructor(path: string, file: OpenFile, writer: ChangeWriter) {
    this.path = path;
    this.#fd = file.fd;
    this.#durableMedium = file.durable;
    this.#unused = file.fresh;
    this.#writer = writer;
  }

  /** Throws (snapback) if the file exists or cannot be made. Its first bytes are durable on return. */
  static async create(options: SnapbackOptions): Promise<Snapback> {
    const { path, facts, sorted } = options;
    const file = openFile(options);
    try {
      const hello = { kind: 'snapback', totalBytes: undefined, sorted, ...facts } as const;
      const writer = await ChangeWriter.framed(file.fd, hello);
      const snapback = new Snapback(path, file, writer);
      await snapback.#syncData();
      if (file.durable) syncDirectory(dirname(path));
      return snapback;
    } catch (error) {
      closeSync(file.fd);
      if (file.fresh) rmSync(path, { force: true });
      throw failure(path, error);
    }
  }

  /** Of the stream that it is, in hexadecimal. */
  get streamId(): string {
    return Buffer.from(this.#writer.streamId).toString('hex');
  }

  /** It stays even if nothing of it is used: something durable is about to name it. */
  keep(): void {
    this.#unused = false;
  }

  /** Bytes of former content saved so far. */
  get savedBytes(): number {
    return this.#savedBytes;
  }

  /**
   * Saves the former content of the operations' ranges, which lies in the slab. Resolves when it is
   * durable: only then may the ranges be written. Calls may overlap; one flush then serves them all.
   */
  async save(slab: Slab, operations: Operations): Promise<void> {
    try {
      // What a stream names a second time was saved with its true former content the first time.
      const fresh = this.#saved.add(operations);
      if (fresh.length === 0) return;
      const number = await this.#append(slab, fresh);
      while (this.#durable < number) {
        this.#syncing ??= this.#sync();
        await this.#syncing;
      }
      this.#unused = false;
    } catch (error) {
      throw failure(this.path, error);
    }
  }

  /** Says that the run it belongs to is complete. Call after the destination was flushed. */
  async finish(): Promise<void> {
    try {
      await this.#appends;
      await this.#writer.end({ sourceChanged: false });
      await this.#syncData();
      this.#unused = false;
      this.#closeFile();
    } catch (error) {
      throw failure(this.path, error);
    } finally {
      this.close();
    }
  }

  /**
   * Leaves it as it is: without finish before, good for going back, but not marked as complete. One that
   * was made in vain is removed, so that its name is free for the run that is tried next.
   */
  close(): void {
    try {
      if (this.#unused) rmSync(this.path, { force: true });
      this.#closeFile();
    } catch {
      // What was used of it is durable, and why the run is left without finish matters more.
    }
  }

  #closeFile(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }

  /** The number of the last group it became. */
  #append(slab: Slab, fresh: Operations): Promise<number> {
    const appended = this.#appends.then(async () => {
      // What was read as one stretch may be longer than a record, or a group, of a snapback.
      for (const group of regroup(fresh, BATCH_LIMITS)) {
        await this.#writer.writeGroup(slab, group, this.#durable);
        this.#appended++;
      }
      for (let i = 1; i < fresh.length; i += 3) this.#savedBytes += fresh[i] ?? 0;
      return this.#appended;
    });
    // A failed append fails all later ones: they would leave a hole in the log.
    this.#appends = appended.then(() => undefined);
    this.#appends.catch(() => undefined);
    return appended;
  }

  // A failed flush stays in #syncing, so it is never retried: the kernel may have dropped the pages.
  async #sync(): Promise<void> {
    const upTo = this.#appended;
    await this.#syncData();
    this.#durable = upTo;
    this.#syncing = undefined;
  }

  async #syncData(): Promise<void> {
    if (this.#durableMedium) await this.#writer.syncData();
  }
}

interface OpenFile {
  readonly fd: number;
  /** False for /dev/null and fifos, which nothing can be flushed to. */
  readonly durable: boolean;
  /** It was not there before. */
  readonly fresh: boolean;
}

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const OWNER_ONLY = 0o600;

function openFile({ path, overwrite, inUse = [], roomFor }: SnapbackOptions): OpenFile {
  try {
    const present = lstatSync(path, { throwIfNoEntry: false });
    if (present !== undefined && isSink(present)) {
      return { fd: openSync(path, O_WRONLY), durable: false, fresh: false };
    }
    if (present !== undefined && !overwrite) throw exists(path);
    // Before what it would replace is given up.
    requireRoom(path, roomFor, present);
    const fresh = present === undefined;
    const flags = O_WRONLY | O_CREAT | O_NOFOLLOW | (fresh ? O_EXCL : 0);
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
    if (errorCode(error) === 'EEXIST') throw exists(path);
    throw cannotCreate(path, error);
  }
}

function cannotCreate(path: string, cause: unknown): LvmsyncError {
  return new LvmsyncError('snapback', `snapback ${path}: cannot create it (${errorCode(cause)})`, {
    state: UNTOUCHED,
    cause,
  });
}

/** Throws (snapback) what Snapback.create would. Makes and changes nothing. */
export function checkSnapback({
  path,
  overwrite,
  inUse = [],
  roomFor,
}: Pick<SnapbackOptions, 'path' | 'overwrite' | 'inUse' | 'roomFor'>): void {
  try {
    const present = lstatSync(path, { throwIfNoEntry: false });
    if (present !== undefined && isSink(present)) return;
    if (present !== undefined && !overwrite) throw exists(path);
    requireRoom(path, roomFor, present);
    accessSync(present === undefined ? dirname(path) : path, constants.W_OK);
    if (present === undefined) return;
    refuseInUse(identityFromStat(lstatSync(path, { bigint: true })), path, inUse);
  } catch (error) {
    throw error instanceof LvmsyncError ? error : cannotCreate(path, error);
  }
}

const UNTOUCHED = 'The destination was not touched.';

/** Headers, marks and the file system's own records: less than this share, and this. */
const OVERHEAD_SHARE = 1 / 32;
const OVERHEAD = 1024 * 1024;

/** Bytes in a block as stat counts them, whatever the file system's own size. */
const STAT_BLOCK = 512;

/** What the file of that name takes up now counts as free: it will be emptied. */
function requireRoom(path: string, bytes: number | undefined, present: Stats | undefined): void {
  if (bytes === undefined) return;
  const { bavail, bsize } = statfsSync(dirname(path));
  const free = bavail * bsize + (present?.blocks ?? 0) * STAT_BLOCK;
  const needed = bytes + bytes * OVERHEAD_SHARE + OVERHEAD;
  if (free >= needed) return;
  throw new LvmsyncError(
    'snapback',
    `snapback ${path}: there is no room for it: up to ${humanSize(needed)}, where ${humanSize(free)} are free`,
    {
      state: UNTOUCHED,
      hint: 'Put it on another file system. --force tries all the same: a full disk stops the run, and what was done until then can be undone.',
    },
  );
}

/** What it held before is given up only after it was seen to be no file of this run. */
function replaceContent(fd: number, path: string, inUse: readonly FileInUse[]): void {
  refuseInUse(identityFromStat(fstatSync(fd, { bigint: true })), path, inUse);
  fchmodSync(fd, OWNER_ONLY);
  ftruncateSync(fd);
}

function refuseInUse(
  identity: DeviceIdentity | undefined,
  path: string,
  inUse: readonly FileInUse[],
): void {
  if (identity?.kind !== 'file') {
    throw new LvmsyncError('snapback', `snapback ${path}: this is no regular file`, {
      state: UNTOUCHED,
    });
  }
  const same = inUse.find(
    (one) => one.identity && identityKey(one.identity) === identityKey(identity),
  );
  if (same !== undefined) {
    throw new LvmsyncError('snapback', `snapback ${path}: this is ${same.role}`, {
      state: UNTOUCHED,
    });
  }
}

function isSink(stats: Stats): boolean {
  return stats.isCharacterDevice() || stats.isFIFO();
}

function exists(path: string): LvmsyncError {
  return new LvmsyncError('snapback', `snapback ${path}: this file exists already`, {
    state: 'The destination was not touched, nor was the file.',
    hint: `It may be the only way back to an earlier state. Use another name, such as ${path}.${timestamp()}, or --snapback-overwrite.`,
  });
}

/** 20261123T031500Z */
function timestamp(): string {
  return new Date().toISOString().replace(/[-:]|\.\d+/g, '');
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function failure(path: string, error: unknown): LvmsyncError {
  if (error instanceof LvmsyncError) return error;
  if (isNativeError(error)) {
    const action = error.syscall === 'fdatasync' ? 'flush' : 'write';
    return ioFailure({ path: `snapback ${path}`, code: 'snapback', action, error });
  }
  const why = error instanceof Error ? error.message : String(error);
  return new LvmsyncError('snapback', `snapback ${path}: ${why}`, { cause: error });
}

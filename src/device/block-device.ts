/** Block devices and regular files as pipelines see them, and the slabs that carry their bytes. */

import { accessSync, constants, statSync } from 'node:fs';
import { type ExitName, LvmsyncError, UNTOUCHED } from '../base/errors.js';
import {
  type ExtentPairs,
  isNativeError,
  type NativeBlockFile,
  type NativeError,
  type NativeFileInfo,
  native,
  type Operations,
} from '../host/native.js';
import { type DeviceIdentity, identifyPath, identityKey } from './topology.js';

/** Page-aligned memory that belongs to whoever leased it. */
export type Slab = ArrayBuffer;

/**
 * A fixed number of slabs: the only queue between the stages of a pipeline, so that waiting for a
 * slab is the backpressure, and their sizes are the bound on memory.
 */
export class SlabPool {
  readonly #free: Slab[] = [];
  readonly #waiting: ((slab: Slab) => void)[] = [];
  readonly #size: number;
  #unmade: number;

  constructor(count: number, size: number) {
    this.#unmade = count;
    this.#size = size;
  }

  /** The caller owns the slab until it releases it. Waits for one in the order of the calls. */
  async lease(): Promise<Slab> {
    const slab = this.#free.pop();
    if (slab !== undefined) return slab;
    if (this.#unmade > 0) {
      this.#unmade--;
      return newSlab(this.#size);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(slab: Slab): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next(slab);
    else this.#free.push(slab);
  }
}

/** Throws (usage) where there is no memory for it. */
export function newSlab(size: number): Slab {
  try {
    return native.allocateSlab(size);
  } catch (error) {
    if (!isNativeError(error)) throw error;
    throw new LvmsyncError('usage', `no memory for ${size} bytes (${error.message})`, {
      hint: 'A limit may be too low: ulimit -v, MemoryMax= of a systemd unit, memory.max of a container.',
      cause: error,
    });
  }
}

/** The role of a device in a run decides the exit status of its failures. */
export type DeviceRole = 'source' | 'destination' | 'cowStore';

/** How stretches of a device are made to read as zeros without writing them. */
export interface PunchRules {
  /** BLKDISCARD of whole blocks, which only a thin volume promises to read as zeros; else fallocate. */
  readonly discard: boolean;
  /** Bytes: only whole blocks of this size can be given back. */
  readonly granularity: number;
}

/** The part of a device that a pipeline needs. Every failure is an LvmsyncError that names device and byte. */
export interface BlockDevice {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Reads every operation, whole, into the slab. */
  readBatch(slab: Slab, operations: Operations): Promise<void>;
  /** The same, and resolves with 16 bytes for each operation: the XXH3-128 of what it read. */
  hashBatch(slab: Slab, operations: Operations): Promise<Uint8Array>;
  writeBatch(slab: Slab, operations: Operations): Promise<void>;
  /**
   * Of the extents, looked at in parts between multiples of `unit` bytes (0: each as a whole), those that
   * hold anything but zeros; neighbours are one.
   */
  findData(extents: ExtentPairs, unit: number): Promise<ExtentPairs>;
  /**
   * Gives the extents back, as far as they are whole blocks; resolves with those that have to be written
   * as zeros instead. Whether a discard did what it was asked to has to be seen by reading.
   */
  punch(extents: ExtentPairs, rules: PunchRules): Promise<ExtentPairs>;
  /** Writes before it are durable when this resolves. Never retried after a failure. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface OpenDeviceOptions {
  readonly role: DeviceRole;
  readonly write?: boolean;
  /** Claim it against every other writer. */
  readonly exclusive?: boolean;
}

const CODES: Record<DeviceRole, { readonly open: ExitName; readonly io: ExitName }> = {
  source: { open: 'sourceUnfit', io: 'sourceRead' },
  cowStore: { open: 'sourceUnfit', io: 'sourceRead' },
  destination: { open: 'destinationUnfit', io: 'destinationWrite' },
};

const SCRATCH_SIZE = 2 * 1024 * 1024;

/** A block device or regular file on this machine, open. The opener closes it. */
export class FileDevice implements BlockDevice {
  readonly path: string;
  readonly file: NativeBlockFile;
  readonly info: NativeFileInfo;
  readonly #role: DeviceRole;
  readonly #scratch = new SlabPool(2, SCRATCH_SIZE);
  #size: number;

  private constructor(path: string, role: DeviceRole, file: NativeBlockFile) {
    this.path = path;
    this.file = file;
    this.info = file.info();
    this.#role = role;
    this.#size = file.size();
  }

  static async open(path: string, options: OpenDeviceOptions): Promise<FileDevice> {
    const { role, write = false, exclusive = false } = options;
    try {
      const file = await native.BlockFile.open(path, { write, exclusive, direct: true });
      const device = new FileDevice(path, role, file);
      if (Number.isSafeInteger(device.size)) return device;
      await file.close();
      throw new LvmsyncError(CODES[role].open, `${path}: too large: it has 8 PiB or more`);
    } catch (error) {
      throw isNativeError(error) ? openFailure(path, role, error) : error;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** From the open descriptor, whatever the path leads to by now. */
  get identity(): DeviceIdentity {
    const device = `${this.info.major}:${this.info.minor}`;
    if (this.info.blockDevice) return { kind: 'block', device };
    return { kind: 'file', device, inode: String(this.info.inode) };
  }

  /** Throws where the path of a file leads to another one by now, or to none: what was written is not there. */
  requireInPlace(): void {
    if (this.info.blockDevice) return;
    const there = identifyPath(this.path);
    if (there !== undefined && identityKey(there) === identityKey(this.identity)) return;
    const what = there === undefined ? 'it no longer exists' : 'another file now has its name';
    throw new LvmsyncError(CODES[this.#role].io, `${this.path}: ${what}`, {
      hint: 'The data was written to the file that had this name when the run began.',
    });
  }

  readBatch(slab: Slab, operations: Operations): Promise<void> {
    return this.#attempt('read', this.file.readBatch(slab, operations));
  }

  hashBatch(slab: Slab, operations: Operations): Promise<Uint8Array> {
    return this.#attempt('read', this.file.hashBatch(slab, operations));
  }

  /** Where the other one holds something else, in pages. Both are read through `scratch`. */
  async compareBatch(
    other: FileDevice,
    scratch: Slab,
    operations: Operations,
  ): Promise<ExtentPairs> {
    try {
      return await this.file.compareBatch(other.file, scratch, operations);
    } catch (error) {
      const failed = isNativeError(error) && error.file === 1 ? other : this;
      return failed.#attempt('read', Promise.reject(error));
    }
  }

  async findData(extents: ExtentPairs, unit: number): Promise<ExtentPairs> {
    const scratch = await this.#scratch.lease();
    try {
      return await this.#attempt('read', this.file.findData(scratch, extents, unit));
    } finally {
      this.#scratch.release(scratch);
    }
  }

  writeBatch(slab: Slab, operations: Operations): Promise<void> {
    return this.#attempt('write', this.file.writeBatch(slab, operations));
  }

  punch(extents: ExtentPairs, rules: PunchRules): Promise<ExtentPairs> {
    return this.#attempt('discard', this.file.punch(extents, rules));
  }

  sync(): Promise<void> {
    return this.#attempt('flush', this.file.sync());
  }

  /** Makes a regular file longer or shorter; what it gains reads as zeros. */
  async resize(size: number): Promise<void> {
    await this.#attempt('resize', this.file.resize(size));
    this.#size = size;
  }

  close(): Promise<void> {
    return this.#attempt('close', this.file.close());
  }

  async #attempt<T>(action: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (!isNativeError(error)) throw error;
      throw ioFailure({ path: this.path, code: CODES[this.#role].io, action, error });
    }
  }
}

/** "PATH: write error at byte 4096 (ENOSPC: No space left on device)" */
export function ioFailure(failure: {
  readonly path: string;
  readonly code: ExitName;
  readonly action: string;
  readonly error: NativeError;
}): LvmsyncError {
  const { path, code, action, error } = failure;
  const where = action === 'flush' || action === 'close' ? '' : ` at byte ${error.offset}`;
  const why = error.code === 'UNEXPECTED_END' ? 'it ends there' : `${error.code}: ${error.message}`;
  return new LvmsyncError(code, `${path}: ${action} error${where} (${why})`, { cause: error });
}

const OPEN_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such device or file',
  EINVAL: 'neither a block device nor a regular file',
  EACCES: 'permission denied (are you root?)',
  EPERM: 'permission denied (are you root?)',
  EROFS: 'it is on a read-only file system',
  EISDIR: 'it is a directory',
  EBUSY: 'it is in use: mounted, or claimed by another device or program',
};

/** Throws (destinationUnfit) as an open for writing would where this user has no right to it. Opens nothing. */
export function requireWritable(path: string): void {
  try {
    accessSync(path, constants.W_OK);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    throw openFailure(path, 'destination', {
      ...error,
      code: String(error.code),
      message: error.message,
      syscall: 'access',
    });
  }
}

function openFailure(
  path: string,
  role: DeviceRole,
  error: Pick<NativeError, 'code' | 'message' | 'syscall'>,
): LvmsyncError {
  if (error.syscall === 'flock' && error.code === 'EAGAIN') {
    const context = { ...UNTOUCHED, hint: 'Wait until that run has ended.', cause: error };
    return new LvmsyncError('locked', `${path}: another run of lvmsync is writing it`, context);
  }
  // The addon opens no directory for reading either.
  const code = error.code === 'EINVAL' && isDirectory(path) ? 'EISDIR' : error.code;
  const reason = OPEN_REASONS[code] ?? error.message;
  const hint = openHint(role, code);
  return new LvmsyncError(CODES[role].open, `${path}: cannot open: ${reason} (${code})`, {
    cause: error,
    ...(hint !== undefined && { hint }),
  });
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function openHint(role: DeviceRole, code: string): string | undefined {
  if (code === 'EISDIR') return 'Name a block device or a regular file instead.';
  if (code !== 'ENOENT') return undefined;
  return role === 'destination'
    ? 'Check its name: a destination must exist and hold a copy.'
    : 'Check its name.';
}

/**
 * The write-ahead log of a destination: what is about to be overwritten is durable here before the
 * destination is touched, so that applying it restores the former content after any crash.
 */

import { closeSync, constants, fstatSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../base/errno.js';
import { LvmsyncError, withContext } from '../base/errors.js';
import { ioFailure, type Slab } from '../device/block-device.js';
import { BATCH_LIMITS, regroup } from '../device/extent.js';
import { bytesOf } from '../device/operations.js';
import { syncDirectory } from '../host/durable-file.js';
import { isNativeError, type NativeExtentSet, native, type Operations } from '../host/native.js';
import { cancelSoonAfter, interrupted } from '../run/interruption.js';
import { ChangeWriter, type HelloFacts } from '../stream/change-writer.js';
import type { HelloAttributes } from '../stream/control-frame.js';
import { countedAttributes } from '../stream/counted-link.js';
import { addPlaces } from './places.js';
import {
  type OpenSnapback,
  openSnapback,
  type SnapbackTarget,
  UNTOUCHED,
} from './snapback-file.js';

export interface SnapbackOptions extends SnapbackTarget {
  /** Facts of the destination. */
  readonly facts: Pick<HelloFacts, 'deviceSize' | 'attributes' | 'place'>;
  /** Offsets will be saved in ascending order. */
  readonly sorted: boolean;
  /** Ends a wait for the reader of a fifo. */
  readonly signal?: AbortSignal;
}

/** Found at the end, when everything is written: nothing can be undone with what is no longer there. */
export class SnapbackRemoved extends LvmsyncError {
  constructor(path: string) {
    super('snapback', `snapback ${path}: it was removed while it was being written`);
  }
}

interface Made {
  readonly hello: HelloFacts;
  readonly writer: ChangeWriter;
}

/** Whoever creates it calls close, after finish if the run succeeded. */
export class Snapback {
  readonly path: string;
  #fd: number;
  readonly #durableMedium: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #hello: HelloFacts;
  #writer: ChangeWriter;
  /** In this file, or in one that is undone after it. */
  readonly #saved: NativeExtentSet;
  #appends: Promise<void> = Promise.resolve();
  #syncing: Promise<void> | undefined;
  #appended = -1;
  #durable = -1;
  /** Bytes of the file. */
  #appendedSize = 0;
  #durableSize = 0;
  #flushFailed = false;
  #savedBytes = 0;
  #closed = false;
  /** A file that this run made, and of which nothing was used. */
  #unused: boolean;

  private constructor(options: SnapbackOptions, file: OpenSnapback, made: Made) {
    const { hello, writer } = made;
    this.path = options.path;
    this.#hello = hello;
    this.#saved = options.saved?.extents ?? new native.ExtentSet();
    this.#fd = file.fd;
    this.#durableMedium = file.durable;
    this.#signal = options.signal;
    // Writes to a file are not cut off: they are the whole of an undo.
    if (!file.durable && options.signal !== undefined) {
      cancelSoonAfter(options.signal, () => writer.cancel());
    }
    this.#unused = file.fresh;
    this.#writer = writer;
  }

  /** Throws (snapback) if the file exists or cannot be made. Its first bytes are durable on return. */
  static async create(options: SnapbackOptions): Promise<Snapback> {
    const { path, facts, sorted, saved } = options;
    const file = openSnapback(options);
    try {
      const attributes = { ...facts.attributes, ...countedAttributes(saved?.counted) };
      const about = { kind: 'snapback', totalBytes: undefined, sorted } as const;
      const hello = { ...about, ...facts, attributes };
      const writer = await ChangeWriter.framed(file.fd, hello);
      const snapback = new Snapback(options, file, { hello, writer });
      snapback.#appendedSize = fstatSync(file.fd).size;
      await snapback.#sync();
      if (file.durable) syncDirectory(dirname(path));
      return snapback;
    } catch (error) {
      closeSync(file.fd);
      if (file.fresh) rmSync(path, { force: true });
      const cause = failure(path, error, options.signal);
      throw cause instanceof LvmsyncError ? withContext(cause, { state: UNTOUCHED }) : cause;
    }
  }

  /** The id of the stream that it is, in hexadecimal. */
  get streamId(): string {
    return Buffer.from(this.#writer.streamId).toString('hex');
  }

  /** With other attributes than it was created with, as long as nothing is saved in it. Durable when it resolves. */
  async renew(attributes: HelloAttributes): Promise<void> {
    try {
      // A descriptor of the same file that begins at its beginning.
      const fd = openSync(`/proc/self/fd/${this.#fd}`, constants.O_WRONLY | constants.O_TRUNC);
      closeSync(this.#fd);
      this.#fd = fd;
      const { streamId } = this.#writer;
      const hello = { ...this.#hello, attributes: { ...this.#hello.attributes, ...attributes } };
      this.#writer = await ChangeWriter.framed(fd, hello, { streamId });
      this.#appendedSize = fstatSync(fd).size;
      await this.#sync();
    } catch (error) {
      throw failure(this.path, error, this.#signal);
    }
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
      // A range that is named a second time was saved with its true former content the first time.
      const fresh = addPlaces(this.#saved, operations);
      if (fresh.length === 0) return;
      const number = await this.#append(slab, fresh);
      while (this.#durable < number) {
        this.#syncing ??= this.#sync();
        await this.#syncing;
      }
      this.#unused = false;
    } catch (error) {
      throw failure(this.path, error, this.#signal);
    }
  }

  /** Says that the run it belongs to is complete. Call after the destination was flushed. */
  async finish(): Promise<void> {
    try {
      await this.#appends;
      await this.#writer.end({ sourceChanged: false });
      await this.#syncData();
      this.#unused = false;
      if (this.#durableMedium && fstatSync(this.#fd).nlink === 0)
        throw new SnapbackRemoved(this.path);
      this.#closeFile();
    } catch (error) {
      throw failure(this.path, error, this.#signal);
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
      // The part that was used is durable, and why the run is left without finish matters more.
    }
  }

  #closeFile(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      // It can still be read from memory, and may not be on the disk: a later attempt must not count on it.
      if (this.#flushFailed && this.#durableMedium) ftruncateSync(this.#fd, this.#durableSize);
    } finally {
      closeSync(this.#fd);
    }
  }

  /** The number of the last group it became. */
  #append(slab: Slab, fresh: Operations): Promise<number> {
    const appended = this.#appends.then(async () => {
      // A stretch that was read as one may be longer than a record, or a group, of a snapback.
      for (const group of regroup(fresh, BATCH_LIMITS)) {
        await this.#writer.writeGroup(slab, group, this.#durable);
        this.#appended++;
        this.#appendedSize = fstatSync(this.#fd).size;
      }
      this.#savedBytes += bytesOf(fresh);
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
    const size = this.#appendedSize;
    await this.#syncData();
    this.#durable = upTo;
    this.#durableSize = size;
    this.#syncing = undefined;
  }

  async #syncData(): Promise<void> {
    if (!this.#durableMedium) return;
    try {
      await this.#writer.syncData();
    } catch (error) {
      this.#flushFailed = true;
      throw error;
    }
  }
}

function failure(path: string, error: unknown, signal: AbortSignal | undefined): LvmsyncError {
  if (error instanceof LvmsyncError) return error;
  if (isNativeError(error)) {
    if (error.code === 'CANCELLED' && signal !== undefined) return interrupted(signal);
    const action = error.syscall === 'fdatasync' ? 'flush' : 'write';
    return ioFailure({ path: `snapback ${path}`, code: 'snapback', action, error });
  }
  const why = messageOf(error);
  return new LvmsyncError('snapback', `snapback ${path}: ${why}`, { cause: error });
}

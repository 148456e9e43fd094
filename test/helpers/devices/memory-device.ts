/** A block device in memory that records what is done to it and fails on demand. */

import { createHash } from 'node:crypto';
import { LvmsyncError } from '../../../src/base/errors.js';
import type { BlockDevice, Slab } from '../../../src/device/block-device.js';
import { forEachOperation } from '../../../src/device/operations.js';
import type { ExtentPairs, Operations } from '../../../src/host/native.js';
import type { Extents } from './operations.js';
import { extentsOf } from './operations.js';

export interface DeviceCall {
  readonly action: 'read' | 'write' | 'sync';
  /** Pairs offset, length in bytes; none for a sync. */
  readonly extents: Extents;
}

export interface MemoryDeviceOptions {
  readonly path?: string;
  /** Called before anything is done; what it throws is the failure, what it awaits the delay. */
  readonly before?: (call: DeviceCall) => Promise<void> | void;
}

export class MemoryDevice implements BlockDevice {
  readonly path: string;
  readonly content: Buffer;
  /** Calls that succeeded, in the order in which they ended. */
  readonly done: DeviceCall[] = [];
  readonly #before: NonNullable<MemoryDeviceOptions['before']>;
  #running = 0;
  #mostRunning = 0;

  constructor(content: Buffer, options: MemoryDeviceOptions = {}) {
    this.content = content;
    this.path = options.path ?? '/dev/memory';
    this.#before = options.before ?? (() => undefined);
  }

  get size(): number {
    return this.content.length;
  }

  /** The largest number of reads and writes that were under way at once. */
  get mostRunning(): number {
    return this.#mostRunning;
  }

  readBatch(slab: Slab, operations: Operations): Promise<void> {
    return this.#run('read', operations, (offset, length, position) => {
      this.content.copy(Buffer.from(slab, position, length), 0, offset, offset + length);
    });
  }

  async hashBatch(slab: Slab, operations: Operations): Promise<Uint8Array> {
    await this.readBatch(slab, operations);
    const hashes: Buffer[] = [];
    forEachOperation(operations, (_, length, position) => {
      hashes.push(
        createHash('md5')
          .update(Buffer.from(slab, position, length))
          .digest(),
      );
    });
    return Buffer.concat(hashes);
  }

  writeBatch(slab: Slab, operations: Operations): Promise<void> {
    return this.#run('write', operations, (offset, length, position) => {
      Buffer.from(slab, position, length).copy(this.content, offset);
    });
  }

  async findData(extents: ExtentPairs, unit: number): Promise<ExtentPairs> {
    const found: number[] = [];
    const add = (from: number, to: number): void => {
      if (!this.content.subarray(from, to).some((byte) => byte !== 0)) return;
      const last = found.length - 2;
      const isNext = (found[last] ?? 0) + (found[last + 1] ?? 0) === from;
      if (last >= 0 && isNext) found[last + 1] = to - (found[last] ?? 0);
      else found.push(from, to - from);
    };
    for (let i = 0; i < extents.length; i += 2) {
      const [offset = 0, length = 0] = extents.subarray(i, i + 2);
      const end = offset + length;
      for (let at = offset; at < end; ) {
        const next = unit === 0 ? end : Math.min(end, (Math.floor(at / unit) + 1) * unit);
        add(at, next);
        at = next;
      }
    }
    return Float64Array.from(found);
  }

  /** Memory has no space to give back: everything has to be written. */
  async punch(extents: ExtentPairs): Promise<ExtentPairs> {
    return extents;
  }

  async sync(): Promise<void> {
    const call = { action: 'sync', extents: [] } as const;
    await this.#before(call);
    this.done.push(call);
  }

  async close(): Promise<void> {}

  async #run(
    action: 'read' | 'write',
    operations: Operations,
    move: (offset: number, length: number, position: number) => void,
  ): Promise<void> {
    const call = { action, extents: extentsOf(operations) };
    this.#running++;
    this.#mostRunning = Math.max(this.#mostRunning, this.#running);
    try {
      await this.#before(call);
      for (let i = 0; i < operations.length; i += 3) {
        const [offset = 0, length = 0, position = 0] = operations.subarray(i, i + 3);
        if (offset + length > this.size) throw this.#short(action);
        move(offset, length, position);
      }
      this.done.push(call);
    } finally {
      this.#running--;
    }
  }

  #short(action: string): LvmsyncError {
    const code = action === 'read' ? 'sourceRead' : 'destinationWrite';
    return new LvmsyncError(
      code,
      `${this.path}: ${action} error at byte ${this.size} (it ends there)`,
    );
  }
}

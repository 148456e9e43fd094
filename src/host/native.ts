/** Loads the addon and types it: the only place where a value is believed to have a type. */

import { loadAddon } from './addon.js';

/** Triples offset, length, slabPosition: whole bytes below 2^53. Position and offset should agree modulo 4096. */
export type Operations = Float64Array;
/** Pairs offset, length in bytes. */
export type ExtentPairs = Float64Array;

/** The errors that the addon rejects with. */
export interface NativeError extends Error {
  /** An errno's name, or UNEXPECTED_END, CORRUPT, CANCELLED. */
  readonly code: string;
  readonly syscall: string;
  /** Bytes into the device or stream. */
  readonly offset: number;
  /** Which of the files of a call that has two, counted from 0. */
  readonly file: number;
  readonly detail: string;
}

export interface NativeFileInfo {
  readonly blockDevice: boolean;
  /** From the device itself; for a regular file, from its file system. */
  readonly major: number;
  readonly minor: number;
  readonly inode: number;
  readonly readOnly: boolean;
  /** Bytes. */
  readonly alignment: number;
  /** The errno's name with which O_DIRECT was refused; null where it is in use. */
  readonly directError: string | null;
}

export interface NativeBlockFile {
  info(): NativeFileInfo;
  size(): number;
  readBatch(slab: ArrayBuffer, operations: Operations): Promise<void>;
  /** Reads into the slab; resolves with 16 bytes, the XXH3-128 in canonical form, for each operation. */
  hashBatch(slab: ArrayBuffer, operations: Operations): Promise<Uint8Array>;
  /**
   * Where the other file holds something else: the pages, as far as operations reach into them; neighbours
   * are one. Both are read through `scratch`, of 16 KiB at least; slab positions are ignored.
   */
  compareBatch(
    other: NativeBlockFile,
    scratch: ArrayBuffer,
    operations: Operations,
  ): Promise<ExtentPairs>;
  /**
   * Of the extents, looked at in parts between multiples of `unit` bytes (0: each as a whole), those that
   * hold anything but zeros; neighbours are one. `scratch` has 64 KiB at least.
   */
  findData(scratch: ArrayBuffer, extents: ExtentPairs, unit: number): Promise<ExtentPairs>;
  writeBatch(slab: ArrayBuffer, operations: Operations): Promise<void>;
  /** Gives space back; resolves with what has to be written as zeros instead. */
  punch(
    extents: ExtentPairs,
    rules: { readonly discard: boolean; readonly granularity: number },
  ): Promise<ExtentPairs>;
  sync(): Promise<void>;
  resize(size: number): Promise<void>;
  /** Waits for running work. */
  close(): Promise<void>;
}

/** A part of a device that lies in a thin pool. Bytes. */
export interface PoolStretch {
  readonly start: number;
  readonly end: number;
  readonly blockSize: number;
  /** Where byte 0 of the device is in a block. */
  readonly shift: number;
  /** Data before it comes from an external origin. */
  readonly bareFrom: number;
}

export interface StreamTotals {
  readonly groups: number;
  readonly records: number;
  /** Payload bytes. */
  readonly bytes: number;
  /** Raw bytes in the stream so far. */
  readonly position: number;
  readonly digest: Uint8Array;
}

/** One call at a time, but for syncData, taken and cancel. The descriptor stays the caller's. */
export interface NativeRecordWriter {
  /** The bytes must stay as they are until it resolves. */
  writeRaw(bytes: Uint8Array): Promise<void>;
  /** `durableGroup`: the last group known durable, -1 for none. */
  writeGroup(
    slab: ArrayBuffer,
    operations: Operations,
    framed: boolean,
    durableGroup: number,
  ): Promise<void>;
  /** The bytes that writeGroup would write; they count as written. The buffer is the caller's. */
  encodeGroup(
    slab: ArrayBuffer,
    operations: Operations,
    framed: boolean,
    durableGroup: number,
  ): Promise<Buffer>;
  /** The bytes of a group that makes at most 256 extents read as zeros; it counts as written. */
  encodeDiscards(extents: ExtentPairs): Buffer;
  syncData(): Promise<void>;
  totals(): StreamTotals;
  /** Raw bytes the descriptor has taken so far; may be asked at any time. */
  taken(): number;
  /** Ends a wait for a reader that does not read. */
  cancel(): void;
}

export interface NativeFrame {
  readonly type: number;
  readonly version: number;
  readonly payload: Uint8Array;
}

export interface ReadResult {
  readonly stop: 'full' | 'group' | 'badGroup' | 'frame' | 'end';
  readonly operations: Operations;
  /** To read as zeros. */
  readonly discards: ExtentPairs;
  readonly records: number;
  readonly bytes: number;
  /** Payload bytes past the device's end, since the stream began. */
  readonly droppedBytes: number;
  /** Why a group is bad. */
  readonly reason: string;
  readonly frame?: NativeFrame;
}

/** One call at a time, but for cancel. The descriptor stays the caller's. */
export interface NativeRecordReader {
  /** The bytes that follow, without consuming them: `count`, or fewer at the end of the input. */
  peek(count: number): Promise<Uint8Array>;
  /** Goes on with another descriptor; returns what was read of the former one, but not consumed. */
  switchTo(fd: number): Uint8Array;
  readLine(limit: number): Promise<Uint8Array>;
  first(): Promise<'none' | 'control' | 'data'>;
  beginFramed(rules: {
    readonly streamId: Uint8Array;
    readonly deviceSize: number;
    readonly sorted: boolean;
    /** DISCARD frames may come. */
    readonly discards: boolean;
  }): void;
  beginClassic(rules: {
    readonly deviceSize: number;
    readonly strict: boolean;
    readonly skipControl: boolean;
  }): void;
  next(slab: ArrayBuffer): Promise<ReadResult>;
  state(): {
    readonly position: number;
    readonly groupStart: number;
    readonly digest: Uint8Array;
  };
  cancel(): void;
}

/** One call at a time, but for cancel. The descriptor stays the caller's. */
export interface NativeInputStream {
  /** Resolves with the number of bytes, 0 only at the end of the input. */
  read(into: ArrayBuffer): Promise<number>;
  cancel(): void;
}

/** XXH32 with seed 0. */
export interface NativeXxh32 {
  update(bytes: Uint8Array): this;
  /** The hash of all bytes so far; more may follow. */
  sum(): number;
}

export interface NativeExtentSet {
  /** The parts of the operations that were not in the set before. */
  add(operations: Operations): Operations;
}

export interface DecodedStore {
  readonly chunkSize: number;
  readonly exceptions: number;
  readonly extents: ExtentPairs;
}

/** Selects a device of device-mapper. */
export type MappedSelector =
  | { readonly name: string }
  | { readonly uuid: string }
  | { readonly major: number; readonly minor: number };

export interface MappedDevice {
  readonly name: string;
  /** Empty if it has none. */
  readonly uuid: string;
  /** "major:minor" */
  readonly number: string;
  /** Places in sectors of 512 bytes; words as the target prints them. */
  readonly targets: readonly {
    readonly start: number;
    readonly length: number;
    readonly type: string;
    readonly words: string;
  }[];
}

export interface Native {
  allocateSlab(size: number): ArrayBuffer;
  /** Blocks of the pool, as far as they are bare, that the operations touch and do not cover whole. */
  partlyCovered(operations: Operations, stretch: PoolStretch): ExtentPairs;
  selectEngine(name: string): { readonly name: string; readonly refused: string | null };
  /**
   * Neither end is inherited unless a child is given it. With a writer of "ours" its end does not block.
   */
  makePipe(writer: 'ours' | 'theirs'): { readonly readFd: number; readonly writeFd: number };
  /**
   * Whether this process now has the kernel's lock (flock) on the open file, which lasts until the
   * descriptor is closed. False, too, where the file system has no such locks.
   */
  lockFile(fd: number): boolean;
  /** Whether it is locked through another descriptor; null where that cannot be known. */
  isFileLocked(fd: number): boolean | null;
  /** Does not return, and does nothing of what Node does at its end: see program.ts. */
  endProcess(status: number): never;
  /** Sets the priority of one thread of this process and those it starts; throws the errno of ioprio_set. */
  setIoPriority(thread: number, ioClass: number, level: number): void;
  /** Whether it runs only where no other wants the processor; throws the errno of sched_setscheduler. */
  setIdlePolicy(thread: number, idle: boolean): void;
  /** Bytes in a pipe; nothing is taken out of it. */
  unreadBytes(fd: number): number;
  /** Whether nobody has the other end of the pipe or socket any more. */
  isHungUp(fd: number): boolean;
  BlockFile: {
    open(
      path: string,
      options: { readonly write: boolean; readonly exclusive: boolean; readonly direct: boolean },
    ): Promise<NativeBlockFile>;
  };
  /** A status without a flush is what a thin pool has in memory. Rejects with ENXIO for no such device. */
  askDeviceMapper(
    selector: MappedSelector,
    question: 'table' | 'status' | 'statusNoFlush',
  ): Promise<MappedDevice>;
  RecordWriter: new (fd: number, streamId: Uint8Array) => NativeRecordWriter;
  RecordReader: new (fd: number) => NativeRecordReader;
  InputStream: new (fd: number) => NativeInputStream;
  ExtentSet: new () => NativeExtentSet;
  Xxh32: new () => NativeXxh32;
  /** `areasKnown`: complete on disk already; null: nobody writes to the store. */
  decodeStore(
    file: NativeBlockFile,
    originSize: number,
    areasKnown: number | null,
  ): Promise<DecodedStore>;
  readStoreHeader(file: NativeBlockFile): Promise<{ readonly chunkSize: number }>;
  expectedExceptions(allocatedSectors: number, chunkSectors: number): number | null;
  /** A control frame. */
  encodeFrame(type: number, payload: Uint8Array): Buffer;
  /** Fills the buffer; resolves with the number of bytes, fewer than fit only at the end of input. */
  readInBulk(fd: number, into: ArrayBuffer): Promise<number>;
  scanMarks(
    fd: number,
    offset: number,
    streamTag: Uint8Array,
  ): Promise<{
    readonly endSeen: boolean;
    /** -1 for none. */
    readonly highestDurable: number;
  }>;
}

export const native = loadAddon() as Native;

/** Whether `error` is a failure of a core call. */
export function isNativeError(error: unknown): error is NativeError {
  return error instanceof Error && 'syscall' in error && 'offset' in error && 'code' in error;
}

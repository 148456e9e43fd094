/** Writes a change stream: handshake, HELLO, groups in order, END. Used for stdout, peers and snapbacks. */

import { randomBytes } from 'node:crypto';
import type { Pace } from '../base/rate-limit.js';
import type { Slab } from '../device/block-device.js';
import type { ExtentList } from '../device/extent.js';
import { bytesOf } from '../device/operations.js';
import {
  type NativeRecordWriter,
  native,
  type Operations,
  type StreamTotals,
} from '../host/native.js';
import type { Packed } from '../run/progress.js';
import {
  type Abort,
  encodeAbort,
  encodeEnd,
  encodeHello,
  FRAME,
  type Hello,
  STREAM_TAG_SIZE,
  type StreamPosition,
} from './control-frame.js';
import { Lz4Output } from './lz4-output.js';

export const HANDSHAKE = 'lvmsync PROTO[3]';

const STREAM_ID_SIZE = 16;
const DISCARDS_IN_GROUP = 256;

export type HelloFacts = Pick<
  Hello,
  'kind' | 'deviceSize' | 'sorted' | 'totalBytes' | 'attributes'
> & {
  /** Default: it is the only one. */
  readonly place?: StreamPosition | undefined;
};

export interface StreamOptions {
  readonly streamId?: Uint8Array;
  /** LZ4 from the first byte to the last. */
  readonly compress?: boolean;
  readonly pace?: Pace | undefined;
}

/** Random: two streams never have the same. */
export function newStreamId(): Uint8Array {
  return randomBytes(STREAM_ID_SIZE);
}

/**
 * The descriptor stays the caller's. Every method rejects with the addon's error: what a failed write
 * means depends on who reads. Calls must follow one another; syncData may run beside them.
 */
export class ChangeWriter {
  readonly streamId: Uint8Array;
  readonly #framed: boolean;
  /** Makes records and counts them; without compression it writes them, too. */
  readonly #records: NativeRecordWriter;
  /** The medium that the descriptor is written through. */
  readonly #sink: NativeRecordWriter;
  readonly #pace: Pace | undefined;
  #lz4: Lz4Output | undefined;

  private constructor(fd: number, options: StreamOptions & { readonly framed: boolean }) {
    const { framed, compress = false, pace, streamId = newStreamId() } = options;
    this.streamId = streamId;
    this.#pace = pace;
    this.#framed = framed;
    this.#records = new native.RecordWriter(fd, streamId);
    this.#sink = new native.RecordWriter(fd, streamId);
    if (compress) this.#lz4 = new Lz4Output(this.#sink, pace);
  }

  /** Begins a stream with control frames; what each kind means is in docs/format.md. */
  static async framed(
    fd: number,
    facts: HelloFacts,
    options: StreamOptions = {},
  ): Promise<ChangeWriter> {
    const writer = new ChangeWriter(fd, { ...options, framed: true });
    const { streamId } = writer;
    // The line end shows a peer that frames follow; a file keeps the original's.
    const lineEnd = facts.kind === 'wire' ? '\r\n' : '\n';
    await writer.#write(Buffer.from(HANDSHAKE + lineEnd));
    const { place = { setId: streamId, streamIndex: 1, streamCount: 1 }, ...rest } = facts;
    await writer.#writeFrame(FRAME.hello, encodeHello({ ...place, ...rest, streamId }));
    return writer;
  }

  /** Begins a stream that is, but for a compression, byte for byte of the original's form. */
  static async classic(
    fd: number,
    options: Omit<StreamOptions, 'streamId'> = {},
  ): Promise<ChangeWriter> {
    const writer = new ChangeWriter(fd, { ...options, framed: false });
    await writer.#write(Buffer.from(`${HANDSHAKE}\n`));
    return writer;
  }

  get compresses(): boolean {
    return this.#lz4 !== undefined;
  }

  /** The input that was compressed so far; undefined without a compression. */
  get packed(): Packed | undefined {
    return this.#lz4?.packed;
  }

  /** From here on the stream is compressed; only for a receiver that reported that it knows this. */
  async compressFromHere(): Promise<void> {
    await this.#writeFrame(FRAME.compressed, new Uint8Array());
    this.#lz4 = new Lz4Output(this.#sink, this.#pace);
  }

  /**
   * One record per operation, and the mark that closes the group. `durableGroup`: -1 for none. The
   * slab may be used again when this resolves.
   */
  async writeGroup(slab: Slab, operations: Operations, durableGroup = -1): Promise<void> {
    const group = [slab, operations, this.#framed, durableGroup] as const;
    if (this.#lz4 !== undefined) {
      await this.#lz4.push(await this.#records.encodeGroup(...group));
    } else {
      await this.#pace?.(bytesOf(operations));
      await this.#records.writeGroup(...group);
    }
  }

  /** Before a group: the hashes of what its blocks hold at the destination, see hash-lines. */
  expect(hashes: Uint8Array): Promise<void> {
    return this.#writeFrame(FRAME.expect, hashes);
  }

  /** A line of another conversation, between HELLO and the first group of a stream that is not compressed yet. */
  writeLine(line: Uint8Array): Promise<void> {
    return this.#records.writeRaw(line);
  }

  /** Asks the receiver to make the extents read as zeros; only for one that said it can. */
  async writeDiscards(extents: ExtentList): Promise<void> {
    for (let at = 0; at < extents.pairs.length; at += 2 * DISCARDS_IN_GROUP) {
      const pairs = extents.pairs.slice(at, at + 2 * DISCARDS_IN_GROUP);
      await this.#write(this.#records.encodeDiscards(pairs));
    }
  }

  /** Says that the stream is whole. */
  async end(flags: { readonly sourceChanged: boolean }): Promise<void> {
    if (this.#framed) {
      const streamTag = this.streamId.subarray(0, STREAM_TAG_SIZE);
      await this.#writeFrame(FRAME.end, encodeEnd({ ...this.totals(), ...flags, streamTag }));
    }
    await this.#lz4?.drain();
  }

  /** Says that the stream will not be whole, and why. */
  async abort(abort: Abort): Promise<void> {
    if (this.#framed) await this.#writeFrame(FRAME.abort, encodeAbort(abort));
    await this.#lz4?.drain();
  }

  /** Writes before it are durable when this resolves. */
  syncData(): Promise<void> {
    return this.#sink.syncData();
  }

  totals(): StreamTotals {
    return this.#records.totals();
  }

  /** Raw bytes that were taken so far, also in the middle of a group. */
  get takenBytes(): number {
    return this.#sink.taken() + this.#records.taken();
  }

  /** Ends a wait for a reader that does not read. */
  cancel(): void {
    this.#records.cancel();
    this.#sink.cancel();
  }

  #writeFrame(type: number, payload: Uint8Array): Promise<void> {
    return this.#write(native.encodeFrame(type, payload));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#lz4 === undefined) await this.#records.writeRaw(bytes);
    else await this.#lz4.push(bytes);
  }
}

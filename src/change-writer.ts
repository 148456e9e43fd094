/** Writes a change stream: handshake, HELLO, groups in order, END. Used for stdout, peers and snapbacks. */

import { randomBytes } from 'node:crypto';
import type { Slab } from './block-device.js';
import {
  type Abort,
  encodeAbort,
  encodeEnd,
  encodeHello,
  FRAME,
  type Hello,
  STREAM_TAG_SIZE,
} from './control-frame.js';
import type { ExtentList } from './extent.js';
import { type NativeRecordWriter, native, type Operations, type StreamTotals } from './native.js';

export const HANDSHAKE = 'lvmsync PROTO[3]';

const STREAM_ID_SIZE = 16;
const DISCARDS_IN_GROUP = 256;

export type HelloFacts = Pick<
  Hello,
  'kind' | 'deviceSize' | 'sorted' | 'totalBytes' | 'attributes'
>;

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
  readonly #native: NativeRecordWriter;
  readonly #framed: boolean;

  private constructor(fd: number, framed: boolean, streamId = newStreamId()) {
    this.streamId = streamId;
    this.#native = new native.RecordWriter(fd, this.streamId);
    this.#framed = framed;
  }

  /** Begins a stream with control frames; what each kind means is in docs/format.md. */
  static async framed(
    fd: number,
    facts: HelloFacts,
    streamId = newStreamId(),
  ): Promise<ChangeWriter> {
    const writer = new ChangeWriter(fd, true, streamId);
    // The line end is what tells a peer that frames follow; a file keeps the original's.
    const lineEnd = facts.kind === 'wire' ? '\r\n' : '\n';
    await writer.#native.writeRaw(Buffer.from(HANDSHAKE + lineEnd));
    const set = { setId: streamId, streamIndex: 1, streamCount: 1 };
    await writer.#native.writeFrame(FRAME.hello, encodeHello({ ...facts, ...set, streamId }));
    return writer;
  }

  /** Begins a stream that is byte for byte of the original's form. */
  static async classic(fd: number): Promise<ChangeWriter> {
    const writer = new ChangeWriter(fd, false);
    await writer.#native.writeRaw(Buffer.from(`${HANDSHAKE}\n`));
    return writer;
  }

  /** One record per operation, and the mark that closes the group. `durableGroup`: -1 for none. */
  writeGroup(slab: Slab, operations: Operations, durableGroup = -1): Promise<void> {
    return this.#native.writeGroup(slab, operations, this.#framed, durableGroup);
  }

  /** Asks the receiver to make the extents read as zeros; only for one that said it can. */
  async writeDiscards(extents: ExtentList): Promise<void> {
    for (let at = 0; at < extents.pairs.length; at += 2 * DISCARDS_IN_GROUP) {
      await this.#native.writeDiscards(extents.pairs.slice(at, at + 2 * DISCARDS_IN_GROUP));
    }
  }

  /** Says that the stream is whole. */
  async end(flags: { readonly sourceChanged: boolean }): Promise<void> {
    if (!this.#framed) return;
    const streamTag = this.streamId.subarray(0, STREAM_TAG_SIZE);
    const end = { ...this.totals(), ...flags, streamTag };
    await this.#native.writeFrame(FRAME.end, encodeEnd(end));
  }

  /** Says that the stream will not be whole, and why. */
  async abort(abort: Abort): Promise<void> {
    if (this.#framed) await this.#native.writeFrame(FRAME.abort, encodeAbort(abort));
  }

  /** What was written before is durable when this resolves. */
  syncData(): Promise<void> {
    return this.#native.syncData();
  }

  totals(): StreamTotals {
    return this.#native.totals();
  }

  /** Raw bytes that were taken so far, also in the middle of a group. */
  get takenBytes(): number {
    return this.#native.taken();
  }

  /** Ends a wait for a reader that does not read. */
  cancel(): void {
    this.#native.cancel();
  }
}

/** The writing end of a compressed stream: pieces of it become LZ4 frames, several at a time, in order. */

import type { Pace } from '../base/rate-limit.js';
import type { NativeRecordWriter } from '../host/native.js';
import type { Packed } from '../run/progress.js';
import { compressGroup } from './lz4.js';

/** Pieces being compressed, or compressed and not yet written. */
const DEPTH = 4;

/** Every method rejects with the addon's error. */
export class Lz4Output {
  readonly #sink: NativeRecordWriter;
  readonly #pace: Pace | undefined;
  readonly #pending: Promise<void>[] = [];
  #last: Promise<void> = Promise.resolve();
  #plainBytes = 0;
  #packedBytes = 0;

  /** Nothing else may write to the sink before drain has resolved. */
  constructor(sink: NativeRecordWriter, pace?: Pace) {
    this.#sink = sink;
    this.#pace = pace;
  }

  /** Bytes of the pieces that are compressed, whether they are written yet or not. */
  get packed(): Packed {
    return { plainBytes: this.#plainBytes, packedBytes: this.#packedBytes };
  }

  /** Becomes a frame of its own. Resolves when there is room for the next piece. */
  async push(bytes: Uint8Array): Promise<void> {
    const compressing = this.#compress(bytes);
    // Failures are awaited in their turn; until then they must not count as unhandled.
    compressing.catch(() => undefined);
    this.#last = this.#writeAfter(this.#last, compressing);
    this.#last.catch(() => undefined);
    this.#pending.push(this.#last);
    if (this.#pending.length >= DEPTH) await this.#pending.shift();
  }

  /** Resolves when everything was written. */
  async drain(): Promise<void> {
    for (const written of this.#pending.splice(0)) await written;
  }

  async #compress(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
    const pieces = await compressGroup(bytes);
    this.#plainBytes += bytes.length;
    for (const { length } of pieces) this.#packedBytes += length;
    return pieces;
  }

  // After a failure none of the later pieces is written.
  async #writeAfter(
    former: Promise<void>,
    compressing: Promise<readonly Uint8Array[]>,
  ): Promise<void> {
    await former;
    for (const piece of await compressing) {
      await this.#pace?.(piece.length);
      await this.#sink.writeRaw(piece);
    }
  }
}

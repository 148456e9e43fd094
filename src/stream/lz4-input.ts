/** The reading end of a compressed stream: its plain bytes go into a pipe, from which they are read. */

import { closeSync } from 'node:fs';
import { native } from '../host/native.js';
import { decompress } from './lz4.js';
import { LZ4_MAGIC } from './lz4-frame.js';

/** A fresh one is used for each read, for blocks are views of it. */
const READ_SIZE = 1024 * 1024;

const ANY_STREAM = new Uint8Array(16);

export function isLz4(firstBytes: Uint8Array): boolean {
  return Buffer.compare(firstBytes.subarray(0, LZ4_MAGIC.length), LZ4_MAGIC) === 0;
}

/** Whoever creates it closes it. */
export class Lz4Input {
  /** The plain bytes; at their end comes what `finished` says. */
  readonly readFd: number;
  readonly #writeFd: number;
  readonly #input: InstanceType<typeof native.InputStream>;
  readonly #output: InstanceType<typeof native.RecordWriter>;
  #pump: Promise<unknown> = Promise.resolve();

  /** `fd` stays the caller's. */
  constructor(fd: number) {
    const { readFd, writeFd } = native.makePipe('ours');
    this.readFd = readFd;
    this.#writeFd = writeFd;
    this.#input = new native.InputStream(fd);
    this.#output = new native.RecordWriter(writeFd, ANY_STREAM);
  }

  /** `before` are compressed bytes that were read already; `name` is what messages call the stream. */
  start(before: Uint8Array, name: string): void {
    this.#pump = this.#run(before, name).then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  /** Throws what was wrong with the compressed stream; to be asked when the pipe has ended. */
  async finished(): Promise<void> {
    const failure = await this.#pump;
    if (failure !== undefined) throw failure;
  }

  /** Ends a wait for input, or for a reader of the pipe. */
  cancel(): void {
    this.#input.cancel();
    this.#output.cancel();
  }

  async close(): Promise<void> {
    this.cancel();
    await this.#pump;
    closeSync(this.readFd);
  }

  async #run(before: Uint8Array, name: string): Promise<void> {
    try {
      for await (const bytes of decompress(this.#chunks(before), name)) {
        if (bytes.length > 0) await this.#output.writeRaw(bytes);
      }
    } finally {
      closeSync(this.#writeFd);
    }
  }

  async *#chunks(before: Uint8Array): AsyncGenerator<Uint8Array, void> {
    yield before;
    for (;;) {
      const chunk = new ArrayBuffer(READ_SIZE);
      const count = await this.#input.read(chunk);
      if (count === 0) return;
      yield new Uint8Array(chunk, 0, count);
    }
  }
}

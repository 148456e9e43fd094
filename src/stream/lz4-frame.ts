/**
 * LZ4 frames, as the `lz4` command writes and reads them: header, blocks, end mark, checksums; several
 * may follow one another. Source: the LZ4 frame format description, version 1.6.4. What is inside a
 * compressed block is not looked at here.
 */

import { LvmsyncError } from '../base/errors.js';
import { native } from '../host/native.js';

/** The first four bytes of a frame. */
export const LZ4_MAGIC = Uint8Array.of(0x04, 0x22, 0x4d, 0x18);

const VERSION = 1 << 6;
const INDEPENDENT_BLOCKS = 1 << 5;
const BLOCK_CHECKSUMS = 1 << 4;
const CONTENT_SIZE = 1 << 3;
const CONTENT_CHECKSUM = 1 << 2;
const RESERVED_FLAG = 1 << 1;
const DICTIONARY_ID = 1;

const BLOCK_HEADER_SIZE = 4;
const STORED = 0x8000_0000;
/** Block size codes 4 to 7 mean 64 KiB to 4 MiB. */
const SMALLEST_BLOCK_CODE = 4;
const LARGEST_BLOCK = 4 * 1024 * 1024;
const SKIPPABLE_MAGIC = 0x184d2a5;
const LEGACY_MAGIC = 0x184c2102;

export interface Lz4Block {
  /** As they are in the frame: plain bytes if `stored`. */
  readonly bytes: Uint8Array;
  readonly stored: boolean;
  /** Bytes that it may decompress to. */
  readonly largest: number;
  /** The end of its frame has a checksum of the content. */
  readonly summed: boolean;
}

/** The end of a frame: how much its content was, where the frame says so. */
export interface Lz4FrameEnd {
  readonly contentSize: number | undefined;
  readonly contentChecksum: number | undefined;
}

export type Lz4Part =
  | ({ readonly kind: 'block' } & Lz4Block)
  | ({ readonly kind: 'end' } & Lz4FrameEnd);

/**
 * The parts of the frames in `input`, which must end with a frame. Throws (streamCorrupt) where it says
 * what no frame says, (streamTruncated) where it ends too early; `name` is what messages call it.
 */
export async function* readLz4Frames(
  input: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Lz4Part, void> {
  const cursor = new Cursor(input, name);
  while (!(await cursor.atEnd())) {
    const magic = (await cursor.take(4)).readUInt32LE(0);
    if (magic >>> 4 === SKIPPABLE_MAGIC) {
      await cursor.skip((await cursor.take(4)).readUInt32LE(0));
    } else if (magic === LEGACY_MAGIC) {
      throw cursor.refuse('the legacy format of lz4 (-l) is not supported');
    } else if (magic !== Buffer.from(LZ4_MAGIC).readUInt32LE(0)) {
      throw cursor.refuse('the data after an LZ4 frame is not another frame');
    } else {
      yield* readFrame(cursor);
    }
  }
}

interface Descriptor {
  readonly flags: number;
  readonly largest: number;
  readonly contentSize: number | undefined;
}

async function* readFrame(cursor: Cursor): AsyncGenerator<Lz4Part, void> {
  const { flags, largest, contentSize } = await readDescriptor(cursor);
  const summed = (flags & CONTENT_CHECKSUM) !== 0;
  for (;;) {
    const header = (await cursor.take(BLOCK_HEADER_SIZE)).readUInt32LE(0);
    if (header === 0) break;
    const length = header & ~STORED;
    // Compressed data that grew would have been stored.
    if (length > largest) throw cursor.refuse('an LZ4 block is larger than its frame allows');
    const bytes = await cursor.take(length);
    if ((flags & BLOCK_CHECKSUMS) !== 0) {
      const sum = (await cursor.take(4)).readUInt32LE(0);
      if (sum !== xxh32(bytes)) throw cursor.refuse('the checksum of an LZ4 block does not match');
    }
    yield { kind: 'block', bytes, stored: (header & STORED) !== 0, largest, summed };
  }
  const contentChecksum = summed ? (await cursor.take(4)).readUInt32LE(0) : undefined;
  yield { kind: 'end', contentSize, contentChecksum };
}

async function readDescriptor(cursor: Cursor): Promise<Descriptor> {
  const fixed = await cursor.take(2);
  const flags = fixed.readUInt8(0);
  const code = (fixed.readUInt8(1) >> 4) & 7;
  if (flags >> 6 !== 1 || (flags & RESERVED_FLAG) !== 0 || (fixed.readUInt8(1) & 0x8f) !== 0) {
    throw cursor.refuse('an LZ4 frame of an unknown version');
  }
  if ((flags & DICTIONARY_ID) !== 0) throw cursor.refuse('an LZ4 frame that needs a dictionary');
  if ((flags & INDEPENDENT_BLOCKS) === 0) {
    throw cursor.refuse('LZ4 blocks that depend on one another (lz4 -BD) are not supported');
  }
  if (code < SMALLEST_BLOCK_CODE) throw cursor.refuse('an LZ4 frame of an unknown block size');
  const size = (flags & CONTENT_SIZE) !== 0 ? await cursor.take(8) : Buffer.alloc(0);
  const [sum] = await cursor.take(1);
  if (sum !== headerChecksum(Buffer.concat([fixed, size]))) {
    throw cursor.refuse('the checksum of an LZ4 header does not match');
  }
  const contentSize = size.length === 0 ? undefined : Number(size.readBigUInt64LE(0));
  return { flags, largest: 2 ** (2 * code + 8), contentSize };
}

function headerChecksum(descriptor: Uint8Array): number {
  return (xxh32(descriptor) >>> 8) & 0xff;
}

function xxh32(bytes: Uint8Array): number {
  return new native.Xxh32().update(bytes).sum();
}

/** Plain bytes of a compressed block that is written, at most; what is longer becomes several. */
export const BLOCK_SIZE = 64 * 1024;

export interface CompressedBlock {
  readonly plain: Uint8Array;
  /** Longer than `plain` where that does not shrink. */
  readonly compressed: Uint8Array;
}

/** A frame of these blocks, with a checksum of the `content` that they are. */
export function compressedFrame(blocks: readonly CompressedBlock[], content: Uint8Array): Buffer {
  const pieces: Uint8Array[] = [frameHeader(BLOCK_SIZE, CONTENT_CHECKSUM)];
  for (const { plain, compressed } of blocks) {
    if (compressed.length < plain.length) pieces.push(word(compressed.length), compressed);
    else pieces.push(word(plain.length + STORED), plain);
  }
  return Buffer.concat([...pieces, word(0), word(xxh32(content))]);
}

/**
 * The pieces of a frame that holds the bytes as they are, for what does not shrink. It has no checksum:
 * a change stream has its own.
 */
export function storedFrame(bytes: Uint8Array): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [frameHeader(LARGEST_BLOCK, 0)];
  for (let at = 0; at < bytes.length; at += LARGEST_BLOCK) {
    const block = bytes.subarray(at, at + LARGEST_BLOCK);
    pieces.push(word(block.length + STORED), block);
  }
  return [...pieces, word(0)];
}

function frameHeader(largestBlock: number, flags: number): Buffer {
  const code = (Math.log2(largestBlock) - 8) / 2;
  const descriptor = Uint8Array.of(VERSION | INDEPENDENT_BLOCKS | flags, code << 4);
  return Buffer.concat([LZ4_MAGIC, descriptor, Uint8Array.of(headerChecksum(descriptor))]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(BLOCK_HEADER_SIZE);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Bytes of an input in the pieces that its reader wants. A request is never larger than a block. */
class Cursor {
  readonly #input: AsyncIterator<Uint8Array>;
  readonly #name: string;
  #chunk: Buffer = Buffer.alloc(0);
  #position = 0;

  constructor(input: AsyncIterable<Uint8Array>, name: string) {
    this.#input = input[Symbol.asyncIterator]();
    this.#name = name;
  }

  async atEnd(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      if (!(await this.#refill())) return true;
    }
    return false;
  }

  /** Exactly so many bytes; a view of what came in, where they came in one piece. */
  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      if (await this.atEnd()) throw this.#cut();
      const part = this.#chunk.subarray(0, missing);
      this.#chunk = this.#chunk.subarray(part.length);
      this.#position += part.length;
      missing -= part.length;
      parts.push(part);
    }
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, length);
  }

  async skip(length: number): Promise<void> {
    for (let missing = length; missing > 0; ) {
      missing -= (await this.take(Math.min(missing, LARGEST_BLOCK))).length;
    }
  }

  refuse(what: string): LvmsyncError {
    return new LvmsyncError(
      'streamCorrupt',
      `${this.#name}: ${what} (byte ${this.#position} of the compressed stream)`,
    );
  }

  #cut(): LvmsyncError {
    return new LvmsyncError(
      'streamTruncated',
      `${this.#name}: it is cut off inside an LZ4 frame (byte ${this.#position} of the compressed stream)`,
    );
  }

  async #refill(): Promise<boolean> {
    const { done, value } = await this.#input.next();
    if (done === true) return false;
    this.#chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return true;
  }
}

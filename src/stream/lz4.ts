/** LZ4 of whole groups, on several cores: what a change stream becomes under --compress, and back. */

import { LvmsyncError } from '../base/errors.js';
import { inOrder } from '../base/in-order.js';
import { native } from '../host/native.js';
import {
  BLOCK_SIZE,
  type CompressedBlock,
  compressedFrame,
  type Lz4Block,
  readLz4Frames,
  storedFrame,
} from './lz4-frame.js';

type Lz4Napi = typeof import('lz4-napi');
let loaded: Promise<Lz4Napi> | undefined;

/** Only runs that compress need it. Throws (usage) where it was not installed. */
function lz4Napi(): Promise<Lz4Napi> {
  loaded ??= import('lz4-napi').catch((cause: unknown) => {
    throw new LvmsyncError('usage', 'LZ4: the package lz4-napi cannot be loaded', {
      hint: 'Install it with npm, or leave out --compress; "lz4 -d" can also decompress a stream.',
      cause,
    });
  });
  return loaded;
}

/** Blocks being decompressed at once. */
const DEPTH = 16;
/** Blocks that may be larger are decompressed on this thread: see compressBlocks. Bytes. */
const LARGEST_FOR_THREADS = BLOCK_SIZE;

/** The sample that is tried first: pieces from all over the group. */
const SAMPLE_PIECES = 16;
const SAMPLE_PIECE = 4096;
/** A group is worth compressing if it shrinks to this share. */
const WORTHWHILE = 0.95;

/**
 * A group as one frame, in pieces. Data that do not shrink are found by a sample, which costs next to
 * nothing, and are stored.
 */
export async function compressGroup(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
  const sample = sampleOf(bytes);
  if (sample !== undefined && !(await shrinks(sample))) return storedFrame(bytes);
  const blocks = await compressBlocks(bytes);
  return shrank(blocks, bytes) ? [compressedFrame(blocks, bytes)] : storedFrame(bytes);
}

/**
 * In small blocks: the package's allocator keeps what its threads hand over to this one, for each of
 * them as much as several of the largest blocks; its own frames also pass through buffers that grow.
 */
async function compressBlocks(bytes: Uint8Array): Promise<readonly CompressedBlock[]> {
  const { compress } = await lz4Napi();
  const blocks: Promise<CompressedBlock>[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_SIZE) {
    const plain = bytes.subarray(at, at + BLOCK_SIZE);
    // The length of the plain bytes comes before the block.
    blocks.push(compress(plain).then((prefixed) => ({ plain, compressed: prefixed.subarray(4) })));
  }
  return Promise.all(blocks);
}

/** Whether compressing data like these is worthwhile. */
export async function shrinks(sample: Uint8Array): Promise<boolean> {
  return shrank(await compressBlocks(sample), sample);
}

function shrank(blocks: readonly CompressedBlock[], bytes: Uint8Array): boolean {
  const length = blocks.reduce((sum, { compressed }) => sum + compressed.length, 0);
  return length <= bytes.length * WORTHWHILE;
}

/** Undefined where the group is not much larger than a sample of it. */
function sampleOf(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < 4 * SAMPLE_PIECES * SAMPLE_PIECE) return undefined;
  const step = Math.floor((bytes.length - SAMPLE_PIECE) / (SAMPLE_PIECES - 1));
  const pieces = Array.from({ length: SAMPLE_PIECES }, (_, i) =>
    bytes.subarray(i * step, i * step + SAMPLE_PIECE),
  );
  return Buffer.concat(pieces);
}

/**
 * The plain bytes of a stream of LZ4 frames. Throws (streamCorrupt, streamTruncated) as soon as a part
 * of it is found wrong; a block never becomes larger than its frame says, at most 4 MiB.
 */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array, void> {
  const parts = inOrder(readLz4Frames(input, name), DEPTH, async (part) =>
    part.kind === 'end' ? part : { ...part, bytes: await plainBlock(part, name) },
  );
  let sum = new native.Xxh32();
  let size = 0;
  for await (const part of parts) {
    if (part.kind === 'block') {
      if (part.summed) sum.update(part.bytes);
      size += part.bytes.length;
      yield part.bytes;
      continue;
    }
    if (part.contentChecksum !== undefined && part.contentChecksum !== sum.sum()) {
      throw corrupt(name, 'the checksum of an LZ4 frame does not match');
    }
    if (part.contentSize !== undefined && part.contentSize !== size) {
      throw corrupt(name, 'an LZ4 frame holds more or less data than its header states');
    }
    sum = new native.Xxh32();
    size = 0;
  }
}

async function plainBlock(block: Lz4Block, name: string): Promise<Uint8Array> {
  if (block.stored) return block.bytes;
  const { uncompress, uncompressSync } = await lz4Napi();
  try {
    const prefixed = withRoomFor(block);
    return block.largest > LARGEST_FOR_THREADS
      ? uncompressSync(prefixed)
      : await uncompress(prefixed);
  } catch (cause) {
    throw corrupt(name, 'an LZ4 block cannot be decompressed', cause);
  }
}

/** As the package takes a block: behind the most bytes that it may become, which it holds it to. */
function withRoomFor({ bytes, largest }: Lz4Block): Uint8Array {
  const prefixed = Buffer.allocUnsafe(4 + bytes.length);
  prefixed.writeUInt32LE(largest);
  prefixed.set(bytes, 4);
  return prefixed;
}

function corrupt(name: string, what: string, cause?: unknown): LvmsyncError {
  return new LvmsyncError('streamCorrupt', `${name}: ${what}`, { cause });
}

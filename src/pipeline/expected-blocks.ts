/** Blocks that were compared are read again before they are overwritten: they must hold what they held then. */

import { LvmsyncError } from '../base/errors.js';
import type { BlockDevice, Slab } from '../device/block-device.js';
import { forEachOperation } from '../device/operations.js';
import type { Operations } from '../host/native.js';
import { HASH_BLOCK, HASH_SIZE } from '../stream/hash-lines.js';

export interface ExpectedBlocks {
  /** Each begins where a block does. */
  readonly operations: Operations;
  /** HASH_SIZE bytes for each block. */
  readonly expected: Uint8Array;
}

/** Reads the operations into the slab. Throws (destinationUnfit) where they hold something else. */
export async function readExpected(
  device: Pick<BlockDevice, 'path' | 'hashBatch'>,
  slab: Slab,
  { operations, expected }: ExpectedBlocks,
): Promise<void> {
  const blocks = cutIntoBlocks(operations);
  const hashes = await device.hashBatch(slab, blocks);
  if (Buffer.compare(hashes, expected) === 0) return;
  if (hashes.length !== expected.length) {
    throw new LvmsyncError(
      'streamCorrupt',
      `${device.path}: the stream names ${expected.length / HASH_SIZE} hashes for ${hashes.length / HASH_SIZE} blocks`,
    );
  }
  const first = hashes.findIndex((byte, i) => byte !== expected[i]);
  const offset = blocks[3 * Math.floor(first / HASH_SIZE)] ?? 0;
  throw new LvmsyncError(
    'destinationUnfit',
    `${device.path}: something else wrote to it after it was compared (block at byte ${offset})`,
    {
      hint: 'Find what writes to the copy and stop it. Then run the cycle again with --compare, without "=lost".',
    },
  );
}

/** The same bytes at the same positions of the slab. */
function cutIntoBlocks(operations: Operations): Operations {
  const triples: number[] = [];
  forEachOperation(operations, (offset, length, position) => {
    for (let done = 0; done < length; done += HASH_BLOCK) {
      triples.push(offset + done, Math.min(HASH_BLOCK, length - done), position + done);
    }
  });
  return Float64Array.from(triples);
}

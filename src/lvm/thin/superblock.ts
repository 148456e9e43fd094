/** thin_dump's description of the pool, and the bounds of dm-thin. Pure. */

import { xmlName } from './xml-bytes.js';
import type { XmlTags } from './xml-tags.js';

/** Beyond what a device of 2^63 bytes in the smallest data blocks, 64 KiB, can have. */
export const MOST_BLOCKS = 2 ** 48;
/** Device ids have 24 bits. */
export const LARGEST_DEVICE_ID = 2 ** 24 - 1;

const SECTOR = 512;
/** Data blocks have 64 KiB to 1 GiB in steps of 64 KiB. Sectors. */
const LEAST_BLOCK_SECTORS = 128;
const MOST_BLOCK_SECTORS = 2 ** 21;

export const SUPERBLOCK = xmlName('superblock');
const DATA_BLOCK_SIZE = xmlName('data_block_size');
const STATE = [xmlName('uuid'), xmlName('transaction'), xmlName('time')];

export interface ThinSuperblock {
  /** Bytes; a multiple of 64 KiB, not always a power of two. */
  readonly dataBlockSize: number;
  /** The same in two dumps if both are of the same metadata snap. */
  readonly state: string;
}

/** Reads the attributes of `<superblock>`, the tag found last. Throws (pool) where they cannot be. */
export function readSuperblock(tags: XmlTags): ThinSuperblock {
  const sectors = tags.number(DATA_BLOCK_SIZE, MOST_BLOCK_SECTORS);
  if (sectors === 0 || sectors % LEAST_BLOCK_SECTORS !== 0) {
    throw tags.refuse(`data blocks of ${sectors} sectors are not possible`);
  }
  const state = STATE.map((name) => tags.text(name)).join(' ');
  return { dataBlockSize: sectors * SECTOR, state };
}

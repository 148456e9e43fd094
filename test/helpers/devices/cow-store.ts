/** Exception stores of thick snapshots, made without LVM: the list of changes for `--cow-store`. */

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

const MAGIC = 0x70416e53;
const SECTOR = 512;
const ENTRY_SIZE = 16;

export interface CowStoreSpec {
  /** Bytes. */
  readonly chunkSize: number;
  /** Chunks of the origin, in the order of the exceptions. */
  readonly oldChunks: readonly number[];
}

/**
 * Header, areas of entries as the kernel numbers them, an empty area at the end, and a hole for the
 * data of each chunk, which no reader of changes looks at.
 */
export function writeCowStore(path: string, { chunkSize, oldChunks }: CowStoreSpec): void {
  const perArea = chunkSize / ENTRY_SIZE;
  const stride = perArea + 1;
  const fd = openSync(path, 'w');
  try {
    const header = Buffer.alloc(ENTRY_SIZE);
    [MAGIC, 1, 1, chunkSize / SECTOR].forEach((word, index) => {
      header.writeUInt32LE(word, 4 * index);
    });
    writeSync(fd, header, 0, header.length, 0);
    const areas = Math.floor(oldChunks.length / perArea) + 1;
    for (let area = 0; area < areas; area++) {
      const first = 1 + area * stride;
      const entries = Buffer.alloc(chunkSize);
      oldChunks.slice(area * perArea, (area + 1) * perArea).forEach((oldChunk, index) => {
        entries.writeBigUInt64LE(BigInt(oldChunk), index * ENTRY_SIZE);
        entries.writeBigUInt64LE(BigInt(first + 1 + index), index * ENTRY_SIZE + 8);
      });
      writeSync(fd, entries, 0, entries.length, first * chunkSize);
    }
    ftruncateSync(fd, (1 + areas * stride) * chunkSize);
  } finally {
    closeSync(fd);
  }
}

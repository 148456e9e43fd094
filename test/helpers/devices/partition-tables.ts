/** Disks with a partition table, as bytes. */

const SECTOR = 512;
const START_SECTOR = 64;

/** With an MBR and one partition of `size` bytes, a multiple of 512, that holds zeros. */
export function partitionedDisk(disk: {
  readonly signature: number;
  readonly size: number;
}): Buffer {
  const bytes = Buffer.alloc(START_SECTOR * SECTOR + disk.size);
  bytes.writeUInt32LE(disk.signature, 440);
  bytes.writeUInt8(0x83, 446 + 4);
  bytes.writeUInt32LE(START_SECTOR, 446 + 8);
  bytes.writeUInt32LE(disk.size / SECTOR, 446 + 12);
  bytes.writeUInt16LE(0xaa55, 510);
  return bytes;
}

/** The beginning of a disk with a GPT, as far as it names partitions: no checksums. */
export function gptDisk(
  partitions: readonly { readonly guid: string; readonly startBlock: number }[],
  blockSize = SECTOR,
): Buffer {
  const bytes = Buffer.alloc(34 * blockSize);
  bytes.write('EFI PART', blockSize, 'latin1');
  bytes.writeBigUInt64LE(2n, blockSize + 72);
  bytes.writeUInt32LE(partitions.length, blockSize + 80);
  bytes.writeUInt32LE(128, blockSize + 84);
  for (const [i, { guid, startBlock }] of partitions.entries()) {
    const at = 2 * blockSize + i * 128;
    Buffer.from(guid.replaceAll('-', ''), 'hex').copy(bytes, at + 16);
    // As it is stored, the first three fields are little-endian.
    bytes.subarray(at + 16, at + 20).reverse();
    bytes.subarray(at + 20, at + 22).reverse();
    bytes.subarray(at + 22, at + 24).reverse();
    bytes.writeBigUInt64LE(BigInt(startBlock), at + 32);
  }
  return bytes;
}

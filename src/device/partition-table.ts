/**
 * The name of a partition in the table of its disk. Older kernels do not report it (newer ones do in uevent),
 * and udev's links are a matter of rules. Sources: UEFI specification 2.10, 5.3 (GPT); blkid and the kernel
 * (block/partitions/msdos.c) for the form of the name on a disk with an MBR.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { identityFromStat, identityKey } from './topology.js';

export interface PartitionPlace {
  /** `major:minor` of the disk. */
  readonly device: string;
  /** Counted from 1. */
  readonly number: number;
  /** Sectors of 512 bytes. */
  readonly startSector: number;
}

/** Undefined where there is no table, it has another partition at that place, or it cannot be read. */
export function partitionUuid(diskPath: string, place: PartitionPlace): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(diskPath, 'r');
    const identity = identityFromStat(fstatSync(fd, { bigint: true }));
    if (identity?.kind === 'block' && identityKey(identity) !== place.device) return undefined;
    return readUuid(fd, place);
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

const SECTOR = 512;
const GPT_SIGNATURE = 'EFI PART';
const GUID_BYTES = 16;
const LARGEST_ENTRY = 4096;

function readUuid(fd: number, place: PartitionPlace): string | undefined {
  for (const blockSize of [SECTOR, 4096]) {
    const header = readAt(fd, blockSize, SECTOR);
    if (header.toString('latin1', 0, 8) === GPT_SIGNATURE) {
      return gptUuid(fd, { header, blockSize }, place);
    }
  }
  return mbrName(readAt(fd, 0, SECTOR), place);
}

function gptUuid(
  fd: number,
  { header, blockSize }: { readonly header: Buffer; readonly blockSize: number },
  { number, startSector }: PartitionPlace,
): string | undefined {
  const entryBytes = header.readUInt32LE(84);
  if (entryBytes < 128 || entryBytes > LARGEST_ENTRY || number > header.readUInt32LE(80)) {
    return undefined;
  }
  const table = Number(header.readBigUInt64LE(72)) * blockSize;
  const entry = readAt(fd, table + (number - 1) * entryBytes, entryBytes);
  if (Number(entry.readBigUInt64LE(32)) * blockSize !== startSector * SECTOR) return undefined;
  return formatGuid(entry.subarray(GUID_BYTES, 2 * GUID_BYTES));
}

/** The first three fields are little-endian. */
function formatGuid(bytes: Buffer): string {
  const part = (from: number, to: number): string => bytes.toString('hex', from, to);
  const swapped = (from: number, to: number): string =>
    Buffer.from(bytes.subarray(from, to)).reverse().toString('hex');
  return [swapped(0, 4), swapped(4, 6), swapped(6, 8), part(8, 10), part(10, 16)].join('-');
}

/** The disk's signature and the number: also of a logical partition, whose entry lies elsewhere. */
function mbrName(sector: Buffer, { number }: PartitionPlace): string | undefined {
  const signature = sector.readUInt32LE(440);
  if (sector.readUInt16LE(510) !== 0xaa55 || signature === 0) return undefined;
  const name = signature.toString(16).padStart(8, '0');
  return `${name}-${number.toString(16).padStart(2, '0')}`;
}

/** Throws where it ends earlier. */
function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  if (readSync(fd, bytes, 0, length, offset) !== length) throw new Error('it ends there');
  return bytes;
}

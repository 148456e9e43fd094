// Inside the guest: whole devices and files, read and written without lvmsync.

import {
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { KiB, MiB } from './lvm.js';

/** Written at once, or left out where all of it is zeros. */
const PIECE = 64 * KiB;
/** Memory that reads past the page cache may go to, from `aligned` on; found by trying. */
const memory = Buffer.alloc(8 * MiB);
let aligned: number | undefined;

/** All of a device or file; what a device holds, not its page cache. */
export function contentOf(path: string): Buffer {
  if (!path.startsWith('/dev/')) return readFileSync(path);
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECT);
  try {
    aligned ??= alignment(descriptor);
    const length = readSync(descriptor, memory, aligned, memory.length - 4 * KiB, 0);
    if (length === memory.length - 4 * KiB) throw new Error(`${path} is larger than is read`);
    return Buffer.from(memory.subarray(aligned, aligned + length));
  } finally {
    closeSync(descriptor);
  }
}

function alignment(descriptor: number): number {
  for (let at = 0; at < 4 * KiB; at += 8) {
    try {
      readSync(descriptor, memory, at, 4 * KiB, 0);
      return at;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    }
  }
  throw new Error('no memory is aligned');
}

/** Writes it from the beginning on, and has it reach the device; `sparse` leaves out blocks of zeros. */
export function writeContent(path: string, content: Buffer, sparse = false): void {
  const descriptor = openSync(path, 'r+');
  try {
    for (let at = 0; at < content.length; at += PIECE) {
      const piece = content.subarray(at, at + PIECE);
      if (!sparse || piece.some((byte) => byte !== 0))
        writeSync(descriptor, piece, 0, piece.length, at);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

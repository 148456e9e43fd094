/** Collects ascending extents of data blocks in little memory. Pure. */

import { ExtentList } from '../../device/extent.js';

/** Numbers are kept in bytes of seven bits, the lowest first; all but a number's last have the top bit. */
const MORE = 0x80;
const RADIX = 0x80;
const LONGEST_NUMBER = 8;
/** Numbers below this are packed with bit operations. */
const SMALL = 2 ** 28;
const PIECE_SIZE = 256 * 1024;

/**
 * Until its length is known, the list is kept as gaps and lengths of two to six bytes an extent for
 * scattered blocks: growing a list of 16 bytes an extent would need twice its size.
 */
export class BlockExtents {
  readonly #dataBlockSize: number;
  readonly #size: number;
  readonly #limit: number;
  readonly #pieces: Uint8Array[] = [];
  #piece = new Uint8Array(0);
  #used = 0;
  #count = 0;
  /** The extent that may still grow, and where the one before it ended. Blocks. */
  #begin = 0;
  #end = 0;
  #previousEnd = 0;

  /** Nothing beyond `size`, the bytes of the device, is kept. */
  constructor(dataBlockSize: number, size: number) {
    this.#dataBlockSize = dataBlockSize;
    this.#size = size;
    this.#limit = Math.ceil(size / dataBlockSize);
  }

  /** Blocks; must not begin before the end of what was appended last. Neighbours are merged. */
  append(begin: number, length: number): void {
    const end = Math.min(begin + length, this.#limit);
    if (begin >= end) return;
    if (begin !== this.#end) {
      this.#keep();
      this.#begin = begin;
    }
    this.#end = end;
  }

  /** In bytes. Nothing can be appended any more. */
  finish(): ExtentList {
    this.#keep();
    const pairs = new Float64Array(this.#count * 2);
    let end = 0;
    let at = 0;
    for (const number of this.#numbers()) {
      const begin = end;
      end += number;
      if (at % 2 === 0) pairs[at] = end * this.#dataBlockSize;
      else
        pairs[at] = Math.min(end * this.#dataBlockSize, this.#size) - begin * this.#dataBlockSize;
      at++;
    }
    return new ExtentList(pairs);
  }

  #keep(): void {
    if (this.#end === this.#begin) return;
    if (this.#used + 2 * LONGEST_NUMBER > this.#piece.length) this.#addPiece();
    this.#pack(this.#begin - this.#previousEnd);
    this.#pack(this.#end - this.#begin);
    this.#count++;
    this.#previousEnd = this.#end;
    this.#begin = this.#end;
  }

  #addPiece(): void {
    this.#closePiece();
    this.#piece = new Uint8Array(PIECE_SIZE);
    this.#used = 0;
  }

  #closePiece(): void {
    if (this.#used > 0) this.#pieces.push(this.#piece.subarray(0, this.#used));
  }

  #pack(number: number): void {
    let rest = number;
    for (; rest >= SMALL; rest = Math.floor(rest / RADIX)) {
      this.#piece[this.#used++] = (rest % RADIX) | MORE;
    }
    for (; rest >= RADIX; rest >>>= 7) this.#piece[this.#used++] = (rest & (RADIX - 1)) | MORE;
    this.#piece[this.#used++] = rest;
  }

  *#numbers(): Generator<number, void> {
    this.#closePiece();
    for (const piece of this.#pieces) {
      let number = 0;
      let factor = 1;
      for (const byte of piece) {
        number += (byte % RADIX) * factor;
        factor *= RADIX;
        if (byte >= MORE) continue;
        yield number;
        number = 0;
        factor = 1;
      }
    }
  }
}

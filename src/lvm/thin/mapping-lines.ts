/**
 * Mappings in just the words in which thin_dump 0.9 and 1.x print them, which are nearly all of a dump:
 * read here at a fraction of what finding tags, attributes and values one by one takes. Pure.
 */

import { BLANK, CLASS, DIGIT_0, NUL } from './xml-bytes.js';

/** Digits that a double always holds exactly. */
const MOST_DIGITS = 15;
const NONE = -1;
const SECOND_OF_SINGLE = 's'.charCodeAt(0);

/** Compared four bytes at a time; the last four may overlap those before. */
class Words {
  readonly length: number;
  readonly places: Uint8Array;
  readonly values: Int32Array;

  constructor(text: string) {
    const bytes = Buffer.from(text, 'latin1');
    this.length = bytes.length;
    const count = Math.ceil(bytes.length / 4);
    this.places = Uint8Array.from({ length: count }, (_, index) =>
      Math.min(4 * index, bytes.length - 4),
    );
    this.values = Int32Array.from(this.places, (place) => bytes.readInt32LE(place));
  }
}

/** The text before, between and behind the numbers. */
const BEFORE_BLOCK = new Words('<single_mapping origin_block="');
const BEFORE_DATA_BLOCK = new Words('" data_block="');
const BEFORE_BEGIN = new Words('<range_mapping origin_begin="');
const BEFORE_DATA_BEGIN = new Words('" data_begin="');
const BEFORE_LENGTH = new Words('" length="');
const BEFORE_TIME = new Words('" time="');
const END = new Words('"/>\n');

/**
 * One mapping after the other out of some bytes. Whatever is written in another way, or is not whole,
 * is not found, and left to who reads any XML to take or to refuse.
 */
export class MappingLines {
  /** The mapping found last, in blocks. */
  begin = 0;
  data = 0;
  length = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #number = 0;

  /** The last one of `bytes` must be a NUL. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Reads the mapping at `from`, or behind blanks there. Returns where it ends, or -1. */
  read(from: number): number {
    const bytes = this.#bytes;
    let at = from;
    while (CLASS[bytes[at] ?? NUL] === BLANK) at++;
    return bytes[at + 1] === SECOND_OF_SINGLE ? this.#readSingle(at) : this.#readRange(at);
  }

  #readSingle(from: number): number {
    const behindBlock = this.#readNumber(from, BEFORE_BLOCK);
    this.begin = this.#number;
    const behindData = this.#readNumber(behindBlock, BEFORE_DATA_BLOCK);
    this.data = this.#number;
    this.length = 1;
    return this.#skip(this.#readNumber(behindData, BEFORE_TIME), END);
  }

  #readRange(from: number): number {
    const behindBegin = this.#readNumber(from, BEFORE_BEGIN);
    this.begin = this.#number;
    const behindData = this.#readNumber(behindBegin, BEFORE_DATA_BEGIN);
    this.data = this.#number;
    const behindLength = this.#readNumber(behindData, BEFORE_LENGTH);
    this.length = this.#number;
    return this.#skip(this.#readNumber(behindLength, BEFORE_TIME), END);
  }

  /** The number behind `words`; -1 if `from` is -1, or if they are not there. */
  #readNumber(from: number, words: Words): number {
    const start = this.#skip(from, words);
    if (start === NONE) return NONE;
    const bytes = this.#bytes;
    let at = start;
    let value = 0;
    let digit = (bytes[at] ?? NUL) - DIGIT_0;
    while (digit >= 0 && digit <= 9) {
      value = value * 10 + digit;
      at++;
      digit = (bytes[at] ?? NUL) - DIGIT_0;
    }
    this.#number = value;
    return at > start && at - start <= MOST_DIGITS ? at : NONE;
  }

  #skip(from: number, { length, places, values }: Words): number {
    if (from === NONE || from + length > this.#bytes.length) return NONE;
    for (let index = 0; index < values.length; index++) {
      const place = from + (places[index] ?? 0);
      if (this.#view.getInt32(place, true) !== values[index]) return NONE;
    }
    return from + length;
  }
}

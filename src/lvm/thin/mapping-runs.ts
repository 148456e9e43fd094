/** Mappings in ascending order, taken from tags or from another list. Pure. */

import { MappingLines } from './mapping-lines.js';
import { MOST_BLOCKS } from './superblock.js';
import { xmlName } from './xml-bytes.js';
import type { XmlTags } from './xml-tags.js';

const FIRST_CAPACITY = 16;

const SINGLE_MAPPING = xmlName('single_mapping');
const RANGE_MAPPING = xmlName('range_mapping');
const ORIGIN_BLOCK = xmlName('origin_block');
const DATA_BLOCK = xmlName('data_block');
const ORIGIN_BEGIN = xmlName('origin_begin');
const DATA_BEGIN = xmlName('data_begin');
const LENGTH = xmlName('length');

/** Whether the tag found last is a mapping. */
export function isMapping(tags: XmlTags): boolean {
  return tags.isNamed(SINGLE_MAPPING) || tags.isNamed(RANGE_MAPPING);
}

interface Mapping {
  readonly begin: number;
  readonly data: number;
  readonly length: number;
}

/** Grows as needed. A mapping that cannot be appended throws LvmsyncError (pool). */
export class MappingRuns {
  readonly #tags: XmlTags;
  #triples = new Float64Array(FIRST_CAPACITY * 3);
  #used = 0;
  #end = 0;
  #blocks = 0;

  /** `tags` is read by `appendTag`, and says where it is when there is an error. */
  constructor(tags: XmlTags) {
    this.#tags = tags;
  }

  /** Runs in the list now. */
  get count(): number {
    return this.#used / 3;
  }

  /** Blocks of all runs ever appended. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Appends the mapping that the tag found last is; false if it is not a mapping. */
  appendTag(): boolean {
    const tags = this.#tags;
    if (tags.isNamed(SINGLE_MAPPING)) {
      const begin = tags.number(ORIGIN_BLOCK, MOST_BLOCKS);
      this.append(begin, tags.number(DATA_BLOCK, MOST_BLOCKS), 1);
      return true;
    }
    if (!tags.isNamed(RANGE_MAPPING)) return false;
    const begin = tags.number(ORIGIN_BEGIN, MOST_BLOCKS);
    const data = tags.number(DATA_BEGIN, MOST_BLOCKS);
    this.append(begin, data, tags.number(LENGTH, MOST_BLOCKS));
    return true;
  }

  /**
   * Appends the mappings that come next, up to `most` in the list, for as long as they are in the words
   * of thin_dump and can be appended. What stops it is for `appendTag` to take or to refuse.
   */
  appendLines(most: number): void {
    this.#tags.readAhead((bytes, from) => {
      const lines = new MappingLines(bytes);
      let at = from;
      while (this.count < most) {
        const after = lines.read(at);
        if (after < 0 || lines.begin < this.#end || !isPossible(lines)) break;
        this.append(lines.begin, lines.data, lines.length);
        at = after;
      }
      return at;
    });
  }

  append(begin: number, data: number, length: number): void {
    if (!isPossible({ begin, data, length })) {
      throw this.#tags.refuse('a mapping has an impossible length');
    }
    if (begin < this.#end) throw this.#tags.refuse('mappings overlap or are out of order');
    if (this.#used === this.#triples.length) this.#grow();
    const at = this.#used;
    this.#triples[at] = begin;
    this.#triples[at + 1] = data;
    this.#triples[at + 2] = length;
    this.#used = at + 3;
    this.#end = begin + length;
    this.#blocks += length;
  }

  /** Triples begin, data, length of what is in the list, which is empty then; the order goes on. */
  take(): Float64Array {
    const taken = this.#triples.slice(0, this.#used);
    this.#used = 0;
    return taken;
  }

  #grow(): void {
    const larger = new Float64Array(this.#triples.length * 2);
    larger.set(this.#triples);
    this.#triples = larger;
  }
}

function isPossible({ begin, data, length }: Mapping): boolean {
  return length > 0 && begin + length <= MOST_BLOCKS && data + length <= MOST_BLOCKS;
}

/**
 * Feeds a parser with texts made out of good ones: bytes changed, pieces taken out, doubled, moved
 * between texts, words of the format put in. Deterministic for a seed. Not guided by coverage, which
 * the native parsers have; instead the texts to begin with are many.
 */

import type { Random } from '../random.js';

export interface FuzzInput {
  readonly corpus: readonly Buffer[];
  /** Words of the format. */
  readonly dictionary: readonly string[];
}

/** Numbers that parsers stumble over. */
const NUMBERS = ['0', '-1', '00', '1e9', '4294967296', '9007199254740993', '18446744073709551616'];
const LONGEST = 64 * 1024;

type Mutation = (bytes: Buffer, random: Random, input: FuzzInput) => Buffer;

const MUTATIONS: readonly Mutation[] = [
  function changeByte(bytes, random) {
    const changed = Buffer.from(bytes);
    if (changed.length > 0) changed[random.below(changed.length)] = random.below(256);
    return changed;
  },
  function flipBit(bytes, random) {
    const changed = Buffer.from(bytes);
    const at = random.below(Math.max(changed.length, 1));
    if (at < changed.length) changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
    return changed;
  },
  function takeOut(bytes, random) {
    const [from, to] = stretch(bytes, random);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  function double(bytes, random) {
    const [from, to] = stretch(bytes, random);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
  function cut(bytes, random) {
    return bytes.subarray(0, random.below(bytes.length + 1));
  },
  function putInWord(bytes, random, { dictionary }) {
    return insert(bytes, random, Buffer.from(pick([...dictionary, ...NUMBERS], random) ?? ''));
  },
  function putInPiece(bytes, random, { corpus }) {
    const other = pick(corpus, random) ?? Buffer.alloc(0);
    const [from, to] = stretch(other, random);
    return insert(bytes, random, other.subarray(from, to));
  },
];

/** A text of one to eight changes. */
export function mutate(random: Random, input: FuzzInput): Buffer {
  let bytes = pick(input.corpus, random) ?? Buffer.alloc(0);
  for (let changes = 1 + random.below(8); changes > 0; changes--) {
    const mutation = pick(MUTATIONS, random);
    if (mutation !== undefined) bytes = mutation(bytes, random, input);
  }
  return bytes.subarray(0, LONGEST);
}

function pick<T>(list: readonly T[], random: Random): T | undefined {
  return list[random.below(list.length)];
}

function stretch(bytes: Buffer, random: Random): [from: number, to: number] {
  const from = random.below(bytes.length + 1);
  const longest = random.below(4) === 0 ? bytes.length : 32;
  return [from, Math.min(bytes.length, from + random.below(longest + 1))];
}

function insert(bytes: Buffer, random: Random, piece: Buffer): Buffer {
  const at = random.below(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
}

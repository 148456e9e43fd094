/**
 * The lines between a verify and `lvmsync --hash-blocks` at the destination: which blocks are asked for,
 * and their hashes. Pure. docs/format.md is the specification. Failures are told as answer-lines.ts has it.
 */

import { type BatchLimits, PAGE } from '../device/extent.js';
import type { Writes } from '../device/write-watch.js';
import type { Operations } from '../host/native.js';

/** For one request. The answer, 33 characters for each hash, has to fit a line that any peer reads whole. */
export const HASH_LIMITS: BatchLimits = {
  bytes: 2 * 1024 * 1024,
  operations: 240,
  operationBytes: 64 * 1024,
};

/** Bytes of one hash. */
export const HASH_SIZE = 16;

/** Blocks whose hashes are compared begin at multiples of this. Bytes; the last one of a device may be shorter. */
export const HASH_BLOCK = HASH_LIMITS.operationBytes;

/** How many blocks an operation is cut into that begins where a block does. */
export function blocksIn(length: number): number {
  return Math.ceil(length / HASH_BLOCK);
}

const VERSION = '1';
const ASK = 'lvmsync-hash';
const ANSWER = 'lvmsync-hashes';

export type HashRequest =
  | { readonly kind: 'hello'; readonly session: string }
  | { readonly kind: 'blocks'; readonly number: number; readonly operations: Operations }
  /** `bytes`: how much will be sent, where groups follow. */
  | { readonly kind: 'end'; readonly requests: number; readonly bytes?: number | undefined };

/** One line, with its end. */
export function formatHashRequest(request: HashRequest): string {
  switch (request.kind) {
    case 'hello':
      return `${ASK} ${VERSION} ${request.session}\n`;
    case 'blocks':
      return `blocks ${request.number}${formatBlocks(request.operations)}\n`;
    case 'end':
      return `end ${request.requests}${request.bytes === undefined ? '' : ` ${request.bytes}`}\n`;
  }
}

function formatBlocks(operations: Operations): string {
  let text = '';
  for (let i = 0; i < operations.length; i += 3) text += ` ${operations[i]}+${operations[i + 1]}`;
  return text;
}

/** Undefined for a line of another form, or one that asks for more than the limits allow. */
export function parseHashRequest(line: string): HashRequest | undefined {
  const [word, first = '', ...rest] = line.split(' ');
  if (word === ASK) {
    const [session = ''] = rest;
    const fits = first === VERSION && rest.length === 1 && isSession(session);
    return fits ? { kind: 'hello', session } : undefined;
  }
  const number = parseCount(first);
  if (number === undefined) return undefined;
  if (word === 'end') {
    if (rest.length === 0) return { kind: 'end', requests: number };
    const bytes = rest.length === 1 ? parseCount(rest[0] ?? '') : undefined;
    return bytes === undefined ? undefined : { kind: 'end', requests: number, bytes };
  }
  if (word !== 'blocks') return undefined;
  const operations = parseBlocks(rest);
  return operations && { kind: 'blocks', number, operations };
}

/** As operations of a slab with room for HASH_LIMITS. */
function parseBlocks(words: readonly string[]): Operations | undefined {
  if (words.length === 0 || words.length > HASH_LIMITS.operations) return undefined;
  const operations = new Float64Array(words.length * 3);
  let position = 0;
  let bytes = 0;
  for (const [i, word] of words.entries()) {
    const [from = '', size = '', ...more] = word.split('+');
    const offset = parseCount(from);
    const length = parseCount(size);
    if (offset === undefined || !length || more.length > 0) return undefined;
    bytes += length;
    if (bytes > HASH_LIMITS.bytes || !Number.isSafeInteger(offset + length)) return undefined;
    position += (((offset - position) % PAGE) + PAGE) % PAGE;
    operations.set([offset, length, position], i * 3);
    position += length;
  }
  return operations;
}

export type HashAnswer =
  /** The destination is open; its size in bytes. */
  | { readonly kind: 'ready'; readonly size: number }
  /** HASH_SIZE bytes for each block of that request. */
  | { readonly kind: 'hashes'; readonly number: number; readonly hashes: Uint8Array }
  /** Everything was answered; `writes`: what others did to the destination meanwhile. */
  | { readonly kind: 'done'; readonly requests: number; readonly writes: Writes };

/** It is an answer of this session, but not one that can be read. */
export type GarbledAnswer = { readonly kind: 'garbled' };

/** One line, with its end. */
export function formatHashAnswer(session: string, answer: HashAnswer): string {
  const head = `${ANSWER} ${VERSION} ${session} ${answer.kind}`;
  switch (answer.kind) {
    case 'ready':
      return `${head} ${answer.size}\n`;
    case 'hashes':
      return `${head} ${answer.number}${formatHashes(answer.hashes)}\n`;
    case 'done':
      return `${head} ${answer.requests} ${answer.writes}\n`;
  }
}

function formatHashes(hashes: Uint8Array): string {
  const hex = Buffer.from(hashes.buffer, hashes.byteOffset, hashes.length).toString('hex');
  let text = '';
  for (let at = 0; at < hex.length; at += 2 * HASH_SIZE) {
    text += ` ${hex.slice(at, at + 2 * HASH_SIZE)}`;
  }
  return text;
}

/** Where the answer of this session begins in a line, behind what a login printed; -1: nowhere. */
export function hashAnswerStart(line: string, session: string): number {
  return line.indexOf(`${ANSWER} ${VERSION} ${session}`);
}

/** Undefined unless a line is one of this session's answers. */
export function parseHashAnswer(
  line: string,
  session: string,
): HashAnswer | GarbledAnswer | undefined {
  const [word, version, id, kind, first = '', ...rest] = line.split(' ');
  if (word !== ANSWER || version !== VERSION || id !== session) return undefined;
  return readAnswer(kind, first, rest) ?? { kind: 'garbled' };
}

function readAnswer(
  kind: string | undefined,
  first: string,
  rest: readonly string[],
): HashAnswer | undefined {
  const number = parseCount(first);
  if (number === undefined) return undefined;
  if (kind === 'ready' && rest.length === 0) return { kind, size: number };
  if (kind === 'hashes' && rest.every(isHash)) {
    return { kind, number, hashes: Buffer.from(rest.join(''), 'hex') };
  }
  const [writes] = rest;
  if (kind !== 'done' || rest.length !== 1 || !isWrites(writes)) return undefined;
  return { kind, requests: number, writes };
}

function isWrites(text: string | undefined): text is Writes {
  return text === 'none' || text === 'some' || text === 'unknown';
}

function isSession(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

function isHash(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

function parseCount(text: string): number | undefined {
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined;
}

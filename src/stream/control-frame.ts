/**
 * The content of the control frames of a change stream. Pure: payload bytes in, values out. The frames
 * around the payloads, and the GROUP frame, are made and checked in the addon; docs/format.md is the
 * specification.
 */

import { LvmsyncError } from '../base/errors.js';

export const FRAME = { hello: 1, group: 2, end: 3, abort: 4, compressed: 6, expect: 7 } as const;
/** The only version of each of them so far. */
export const FRAME_VERSION = 1;
/** Frames of these types may be skipped by a reader that does not know them. */
export const FIRST_OPTIONAL_TYPE = 0x80;

export const STREAM_KINDS = ['wire', 'file', 'snapback'] as const;
/** Sent to a peer; stored; or holding the old bytes of a destination. */
export type StreamKind = (typeof STREAM_KINDS)[number];

/** Which of the streams of one run a stream is. */
export interface StreamPosition {
  /** 16 bytes that the streams of one run share. */
  readonly setId: Uint8Array;
  /** Counted from 1. */
  readonly streamIndex: number;
  readonly streamCount: number;
}

/** The first record of a framed stream. */
export interface Hello extends StreamPosition {
  readonly kind: StreamKind;
  /** 16 random bytes. */
  readonly streamId: Uint8Array;
  /** Bytes: of the source, or of the destination that a snapback belongs to. */
  readonly deviceSize: number;
  /** Offsets ascend through the whole stream. */
  readonly sorted: boolean;
  /** Bytes of payload to come, where known. */
  readonly totalBytes: number | undefined;
  readonly attributes: HelloAttributes;
}

/** Optional facts, for people and for checks where both sides know them. */
export interface HelloAttributes {
  /** Stable identity of the device that deviceSize describes, such as an LV's uuid. */
  readonly deviceIdentity?: string;
  /** That device's path when the stream was made. */
  readonly devicePath?: string;
  /** LV uuid of the snapshot that the changes are counted from. */
  readonly fromPoint?: string;
  /** LV uuid of what the data were read from. */
  readonly toPoint?: string;
  readonly machineId?: string;
  /** ISO 8601, UTC. */
  readonly createdAt?: string;
  readonly program?: string;
  /** In a snapback: the size of the file before it was made larger, in decimal. */
  readonly formerSize?: string;
  /** When the toPoint was made: ISO 8601, UTC, whole seconds. */
  readonly toTime?: string;
  /** The same of the fromPoint. */
  readonly fromTime?: string;
  /** In a snapback of a chain: stream id, in hexadecimal, of the one before it. */
  readonly previousLink?: string;
  /** In a stream that ends here: DRY_RUN asks whether the receiver would take such a one. */
  readonly question?: string;
  /** Bytes, in decimal, that a copy has to hold already: what is not in the stream has to be there. */
  readonly copySize?: string;
  /** How many of the bytes to come are zeros that a receiver which knows discards gets as such, in decimal. */
  readonly zeroBytes?: string;
  /** In a snapback that counts on another: stream id, in hexadecimal, of that one. See counted-link. */
  readonly countedLink?: string;
  /** Bytes of that file, in decimal. */
  readonly countedBytes?: string;
  /** SHA-256, in hexadecimal, of what those bytes hold and count on. */
  readonly countedHash?: string;
  /** The allowed kinds of a copy's first bytes, see head-kind; several are separated by commas. */
  readonly headKinds?: string;
  /** In a stream: which Comparison. In a link of a chain: what was known when its run found the changes by comparing. */
  readonly comparison?: string;
  /** OPEN_END, or absent. */
  readonly inputEnd?: string;
}

/** A shell or sudo before the sender may hold the input of the receiver open: nothing is looked for after END. */
export const OPEN_END = 'open';

/** As an attribute and not only as a word, which a forced command of ssh would leave out. */
export const DRY_RUN = 'dry-run';

/**
 * The receiver answers with hashes of its destination first, and the stream then brings what differs. `lost`: only the
 * list of changes is; `any`: also where something else wrote to the destination.
 */
export type Comparison = 'any' | 'lost';

export function comparisonIn({ comparison }: HelloAttributes): Comparison | undefined {
  return comparison === 'any' || comparison === 'lost' ? comparison : undefined;
}

/** A link whose run found the changes by comparing: whether something else was known to have written to the copy. */
export const UNNOTICED = 'unnoticed';
export const WRITTEN_BEFORE = 'written';

/** The tag of each attribute, in the order in which they are written; unknown tags are skipped. */
const ATTRIBUTE_TAGS: Readonly<Record<keyof HelloAttributes, number>> = {
  deviceIdentity: 1,
  devicePath: 2,
  fromPoint: 3,
  toPoint: 4,
  machineId: 5,
  createdAt: 6,
  program: 7,
  formerSize: 8,
  toTime: 9,
  fromTime: 10,
  previousLink: 11,
  question: 12,
  copySize: 13,
  zeroBytes: 19,
  countedLink: 16,
  countedBytes: 17,
  countedHash: 18,
  headKinds: 20,
  comparison: 21,
  inputEnd: 22,
};

/** The last record of a framed stream. */
export interface End {
  readonly streamTag: Uint8Array;
  readonly groups: number;
  readonly records: number;
  readonly bytes: number;
  /** XXH3-128 over all group digests. */
  readonly digest: Uint8Array;
  /** The source was written while it was read. */
  readonly sourceChanged: boolean;
}

/** Instead of END: the sender failed. */
export interface Abort {
  readonly exitStatus: number;
  readonly message: string;
}

const ID_SIZE = 16;
export const STREAM_TAG_SIZE = 8;
const HASH_XXH3_128 = 1;
const HELLO_FIXED_SIZE = 60;
const END_SIZE = 50;
const FLAG_SORTED = 1;
const FLAG_TOTAL_KNOWN = 2;
const LONGEST_ATTRIBUTE = 1024;
const LONGEST_MESSAGE = 512;

export function encodeHello(hello: Hello): Uint8Array {
  const fixed = Buffer.alloc(HELLO_FIXED_SIZE);
  fixed.writeUInt8(STREAM_KINDS.indexOf(hello.kind) + 1, 0);
  fixed.writeUInt8(HASH_XXH3_128, 1);
  const known = hello.totalBytes !== undefined;
  fixed.writeUInt16BE((hello.sorted ? FLAG_SORTED : 0) | (known ? FLAG_TOTAL_KNOWN : 0), 2);
  fixed.set(hello.streamId, 4);
  fixed.set(hello.setId, 20);
  fixed.writeUInt16BE(hello.streamIndex, 36);
  fixed.writeUInt16BE(hello.streamCount, 38);
  writeUint64(fixed, hello.deviceSize, 40);
  writeUint64(fixed, hello.totalBytes ?? 0, 48);
  // Bytes 56..59 are reserved and zero.
  return Buffer.concat([fixed, ...encodeAttributes(hello.attributes)]);
}

function encodeAttributes(attributes: HelloAttributes): Buffer[] {
  const parts: Buffer[] = [];
  for (const [name, tag] of attributeTags()) {
    const text = attributes[name];
    if (text === undefined) continue;
    const value = Buffer.from(text).subarray(0, LONGEST_ATTRIBUTE);
    const head = Buffer.alloc(4);
    head.writeUInt16BE(tag, 0);
    head.writeUInt16BE(value.length, 2);
    parts.push(head, value, Buffer.alloc(value.length % 2));
  }
  return parts;
}

function attributeTags(): [keyof HelloAttributes, number][] {
  return Object.entries(ATTRIBUTE_TAGS) as [keyof HelloAttributes, number][];
}

/** Throws (streamCorrupt) for a payload that is not a HELLO, or one of a hash that is not known here. */
export function decodeHello(payload: Uint8Array): Hello {
  const bytes = asBuffer(payload);
  if (bytes.length < HELLO_FIXED_SIZE) throw corrupt('its first control frame is too short');
  const kind = STREAM_KINDS[bytes.readUInt8(0) - 1];
  if (kind === undefined) throw corrupt(`it has the unknown kind ${bytes.readUInt8(0)}`);
  const hash = bytes.readUInt8(1);
  if (hash !== HASH_XXH3_128)
    throw corrupt(`this lvmsync does not know its hash algorithm ${hash}`);
  const flags = bytes.readUInt16BE(2);
  const total = readUint64(bytes, 48);
  return {
    kind,
    streamId: bytes.subarray(4, 4 + ID_SIZE),
    setId: bytes.subarray(20, 20 + ID_SIZE),
    streamIndex: bytes.readUInt16BE(36),
    streamCount: bytes.readUInt16BE(38),
    deviceSize: readUint64(bytes, 40),
    sorted: (flags & FLAG_SORTED) !== 0,
    totalBytes: (flags & FLAG_TOTAL_KNOWN) !== 0 ? total : undefined,
    attributes: decodeAttributes(bytes.subarray(HELLO_FIXED_SIZE)),
  };
}

function decodeAttributes(bytes: Buffer): HelloAttributes {
  const found: { -readonly [name in keyof HelloAttributes]: HelloAttributes[name] } = {};
  const names = new Map(attributeTags().map(([name, tag]) => [tag, name]));
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = bytes.readUInt16BE(at + 2);
    const end = at + 4 + length;
    if (end > bytes.length) throw corrupt('an attribute of its first control frame is cut');
    const name = names.get(bytes.readUInt16BE(at));
    if (name !== undefined) found[name] = bytes.toString('utf8', at + 4, end);
    at = end + (length % 2);
  }
  return found;
}

export function encodeEnd(end: End): Uint8Array {
  const bytes = Buffer.alloc(END_SIZE);
  bytes.set(end.streamTag, 0);
  writeUint64(bytes, end.groups, 8);
  writeUint64(bytes, end.records, 16);
  writeUint64(bytes, end.bytes, 24);
  bytes.set(end.digest, 32);
  bytes.writeUInt16BE(end.sourceChanged ? 1 : 0, 48);
  return bytes;
}

export function decodeEnd(payload: Uint8Array): End {
  const bytes = asBuffer(payload);
  if (bytes.length < END_SIZE) throw corrupt('its last control frame is too short');
  return {
    streamTag: bytes.subarray(0, STREAM_TAG_SIZE),
    groups: readUint64(bytes, 8),
    records: readUint64(bytes, 16),
    bytes: readUint64(bytes, 24),
    digest: bytes.subarray(32, 48),
    sourceChanged: (bytes.readUInt16BE(48) & 1) !== 0,
  };
}

export function encodeAbort(abort: Abort): Uint8Array {
  const text = Buffer.from(abort.message).subarray(0, LONGEST_MESSAGE);
  const bytes = Buffer.alloc(4 + text.length);
  bytes.writeUInt16BE(abort.exitStatus, 0);
  bytes.writeUInt16BE(text.length, 2);
  bytes.set(text, 4);
  return bytes;
}

export function decodeAbort(payload: Uint8Array): Abort {
  const bytes = asBuffer(payload);
  if (bytes.length < 4) throw corrupt('its last control frame is too short');
  const length = Math.min(bytes.readUInt16BE(2), bytes.length - 4);
  return { exitStatus: bytes.readUInt16BE(0), message: bytes.toString('utf8', 4, 4 + length) };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeUint64(bytes: Buffer, value: number, at: number): void {
  bytes.writeBigUInt64BE(BigInt(value), at);
}

function readUint64(bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64BE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt('it holds an impossible number');
  return Number(value);
}

function corrupt(what: string): LvmsyncError {
  return new LvmsyncError('streamCorrupt', `the change stream is damaged: ${what}`);
}

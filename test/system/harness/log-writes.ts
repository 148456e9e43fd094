// Inside the guest: a disk that notes every write and flush (dm-log-writes), and the states in which
// a power cut could have left it. The format is that of Linux, admin-guide/device-mapper/log-writes.

import { readFileSync } from 'node:fs';
import { tool } from './tool.js';

const MAGIC = 0x6a736677736872n;
const VERSION = 1n;
const SECTOR = 512;
const ENTRY_SIZE = 32;
const FLUSH = 1;
const FUA = 2;
const DISCARD = 4;
const MARK = 8;

/** One thing that became durable, or the flush that made it so, or a mark. */
export interface LogEntry {
  /** Bytes. */
  readonly offset: number;
  readonly length: number;
  /** What was written; undefined for a discard, after which zeros are read. */
  readonly data: Buffer | undefined;
  readonly flush: boolean;
  /** Durable as soon as it was complete. */
  readonly fua: boolean;
  readonly mark: string | undefined;
}

/** Puts a logging device named `name` over a device; its log goes to another. */
export function startLog(name: string, device: string, log: string): void {
  const sectors = tool('blockdev', '--getsz', device);
  tool('dmsetup', 'create', name, '--table', `0 ${sectors} log-writes ${device} ${log}`);
}

/** Puts a word into the log: what is durable by now comes before it. */
export function markLog(name: string, word: string): void {
  tool('dmsetup', 'message', name, '0', 'mark', word);
}

/**
 * Reads a log whose device was removed. Ordinary writes stand in it when the first flush after them
 * was sent, so what stands before a flush was durable when that flush was complete.
 */
export function readLog(file: string): LogEntry[] {
  const log = readFileSync(file);
  if (log.readBigUInt64LE(0) !== MAGIC || log.readBigUInt64LE(8) !== VERSION) {
    throw new Error(`${file} holds no log of dm-log-writes`);
  }
  const count = Number(log.readBigUInt64LE(16));
  const sectorSize = log.readUInt32LE(24);
  const entries: LogEntry[] = [];
  let at = sectorSize;
  for (let i = 0; i < count; i++) {
    const [sector, sectors, flags, markLength] = [0, 8, 16, 24].map((field) =>
      Number(log.readBigUInt64LE(at + field)),
    ) as [number, number, number, number];
    const length = sectors * sectorSize;
    const word = at + ENTRY_SIZE;
    at += sectorSize;
    const discard = (flags & DISCARD) !== 0;
    entries.push({
      offset: sector * sectorSize,
      length,
      data: discard ? undefined : log.subarray(at, at + length),
      flush: (flags & FLUSH) !== 0,
      fua: (flags & FUA) !== 0,
      mark: (flags & MARK) === 0 ? undefined : log.toString('latin1', word, word + markLength),
    });
    if (!discard) at += length;
  }
  return entries;
}

/** What the disk holds after a power cut at some time. */
export interface CrashState {
  /** How to speak of it: "flush 7 of 30", "between flush 7 and 8, 12 of 40 writes". */
  readonly what: string;
  /** Marks that had been set by then. */
  readonly marks: readonly string[];
  /** The whole content; valid until the next state is asked for. */
  readonly image: Buffer;
}

export interface CrashOptions {
  /** States to make up between one flush and the next, of random choices of the writes there. */
  readonly between: number;
  /** From 0 up to, not including, the limit. */
  readonly below: (limit: number) => number;
}

/**
 * The state at each flush, write with FUA, and mark, and some in between: whatever was not flushed
 * yet may have reached the disk, wholly, in part, or not at all. `image` is the content at the start
 * and is changed.
 */
export function* crashStates(
  entries: readonly LogEntry[],
  image: Buffer,
  { between, below }: CrashOptions,
): Generator<CrashState> {
  const marks: string[] = [];
  let epoch: LogEntry[] = [];
  for (const [index, entry] of entries.entries()) {
    if (entry.flush) {
      for (let i = 0; i < between && epoch.length > 0; i++) {
        const what = `before entry ${index} of ${entries.length}, choice ${i}`;
        yield { what, marks, image: withSome(image, epoch, below) };
      }
      for (const write of epoch) apply(image, write);
      epoch = [];
    }
    if (entry.fua) apply(image, entry);
    else if (entry.mark === undefined) epoch.push(entry);
    else marks.push(entry.mark);
    const boundary = entry.flush || entry.fua || entry.mark !== undefined;
    if (boundary) yield { what: `at entry ${index} of ${entries.length}`, marks, image };
  }
}

/** A copy in which each of the writes that came up to some time is there, or is not, or ends early. */
function withSome(image: Buffer, epoch: readonly LogEntry[], below: CrashOptions['below']): Buffer {
  const copy = Buffer.from(image);
  const reached = epoch.slice(0, 1 + below(epoch.length));
  for (const write of reached) {
    const sectors = write.length / SECTOR;
    const chance = below(3);
    if (chance === 0) apply(copy, write);
    if (chance === 1) apply(copy, write, below(sectors + 1) * SECTOR);
  }
  return copy;
}

function apply(image: Buffer, { offset, length, data }: LogEntry, upTo = length): void {
  if (data === undefined) image.fill(0, offset, offset + upTo);
  else data.copy(image, offset, 0, upTo);
}

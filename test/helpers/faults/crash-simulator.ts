/**
 * Power cuts, simulated from what a run wrote and flushed: at a cut each file holds what a finished
 * flush covers, and any part of what came after it. A sector of a file is written as a whole, with
 * what it held at some moment; sectors and files are independent of each other.
 */

import type { Random } from '../random.js';
import type { CallEvent } from './scripted-syscalls.js';

const SECTOR = 512;

/** What a run did to its files, in order. */
export interface Recording {
  /** What each file held before; one that is not in here did not exist. */
  readonly before: ReadonlyMap<string, Buffer>;
  readonly events: readonly CallEvent[];
  /** What unwritten space of a new file may hold besides zeros. */
  readonly garbage: Buffer;
}

/** What is found after a cut; undefined: there is no such file. */
export type Image = ReadonlyMap<string, Buffer | undefined>;

/** Says that a file was given this length; what it gained reads as zeros. */
export function grownNote(path: string, size: number): string {
  return `grown ${size} ${path}`;
}

/** Says that the folders of new files were flushed: until then a new file may have no name. */
export const FOLDER_FLUSHED = 'folder flushed';

interface Write {
  readonly path: string;
  readonly offset: number;
  /** None where only the length was set, to `offset`. */
  readonly bytes: Buffer;
  /** Numbers of events; Infinity: never. */
  readonly begun: number;
  readonly durable: number;
}

/** What a run wrote, and from which event on each part of it is durable. */
export class CrashSimulator {
  readonly #recording: Recording;
  readonly #writes: readonly Write[];
  readonly #folderDurable: number;

  constructor(recording: Recording) {
    const { events } = recording;
    this.#recording = recording;
    this.#writes = findWrites(events);
    const flushed = events.findIndex(isNote(FOLDER_FLUSHED));
    this.#folderDurable = flushed < 0 ? Infinity : flushed;
  }

  /** One state that may be found if the power fails just before event number `cut`. */
  crashAt(cut: number, random: Random): Image {
    const { before, garbage } = this.#recording;
    const begun = this.#writes.filter((write) => write.begun < cut);
    const image = new Map<string, Buffer | undefined>();
    for (const path of new Set([...before.keys(), ...begun.map((write) => write.path)])) {
      const writes = begun.filter((write) => write.path === path);
      const durable = writes.filter((write) => write.durable < cut);
      const pending = writes.filter((write) => write.durable >= cut);
      const old = before.get(path);
      const nameless = old === undefined && this.#folderDurable >= cut;
      const lost = nameless && random.below(2) === 0;
      image.set(path, lost ? undefined : build({ old, durable, pending, garbage }, random));
    }
    return image;
  }
}

function isNote(what: string): (event: CallEvent) => boolean {
  return (event) => event.kind === 'note' && event.path === what;
}

function findWrites(events: readonly CallEvent[]): Write[] {
  const ends = new Map<number, { readonly at: number; readonly result: number }>();
  events.forEach((event, at) => {
    if (event.kind === 'written' || event.kind === 'flushed') {
      ends.set(event.id, { at, result: event.result });
    }
  });
  const durableFrom = (path: string, written: number): number => {
    for (let at = written + 1; at < events.length; at++) {
      const event = events[at];
      if (event?.kind !== 'flush' || event.path !== path) continue;
      const end = ends.get(event.id);
      if (end?.result === 0) return end.at;
    }
    return Infinity;
  };
  return events.flatMap((event, begun): Write[] => {
    if (event.kind === 'note') {
      const [, size = '', path = ''] = /^grown (\d+) (.*)$/.exec(event.path) ?? [];
      if (path === '') return [];
      const durable = durableFrom(path, begun);
      return [{ path, offset: Number(size), bytes: Buffer.alloc(0), begun, durable }];
    }
    if (event.kind !== 'write') return [];
    const end = ends.get(event.id);
    const failed = end === undefined || end.result < 0;
    const { path, offset } = event;
    const bytes = failed ? event.bytes : event.bytes.subarray(0, end.result);
    return [{ path, offset, bytes, begun, durable: failed ? Infinity : durableFrom(path, end.at) }];
  });
}

interface FileAtCut {
  readonly old: Buffer | undefined;
  readonly durable: readonly Write[];
  readonly pending: readonly Write[];
  readonly garbage: Buffer;
}

function build({ old, durable, pending, garbage }: FileAtCut, random: Random): Buffer {
  const durableSize = endOf(durable, old?.length ?? 0);
  const fullSize = endOf(pending, durableSize);
  const content = Buffer.alloc(fullSize);
  if (old === undefined) addGarbage(content, durableSize, { garbage, random });
  old?.copy(content);
  for (const { bytes, offset } of durable) bytes.copy(content, offset);
  writeSome(content, pending, random);
  const sizes = [durableSize, fullSize, durableSize + random.below(fullSize - durableSize + 1)];
  return content.subarray(0, sizes[random.below(sizes.length)]);
}

function endOf(writes: readonly Write[], least: number): number {
  return writes.reduce((end, { offset, bytes }) => Math.max(end, offset + bytes.length), least);
}

/** Into the sectors that begin beyond `from`: all, none or some of them. */
function addGarbage(
  content: Buffer,
  from: number,
  { garbage, random }: { readonly garbage: Buffer; readonly random: Random },
): void {
  const share = random.below(3);
  for (let at = Math.ceil(from / SECTOR) * SECTOR; at < content.length; at += SECTOR) {
    if (random.below(2) >= share) continue;
    const start = random.below(garbage.length);
    garbage.copy(content, at, start, start + SECTOR);
  }
}

/** A sector holds what it held after some of its writes: none, the first ones, or all. */
function writeSome(content: Buffer, pending: readonly Write[], random: Random): void {
  const happens = chooseStyle(pending.length, random);
  const closed = new Set<number>();
  pending.forEach(({ offset, bytes }, index) => {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const sector = Math.floor(at / SECTOR);
      const length = Math.min(bytes.length - done, (sector + 1) * SECTOR - at);
      if (!closed.has(sector) && happens(index)) bytes.copy(content, at, done, done + length);
      else closed.add(sector);
      done += length;
    }
  });
}

/** Whether a sector of the write number `index` of `count` reached the medium. */
function chooseStyle(count: number, random: Random): (index: number) => boolean {
  const bound = random.below(count + 1);
  const chosen = Array.from({ length: count }, () => random.below(2) === 0);
  const styles: readonly ((index: number) => boolean)[] = [
    () => false,
    () => true,
    () => random.below(2) === 0,
    () => random.below(16) === 0,
    () => random.below(16) > 0,
    (index) => index < bound,
    (index) => index >= bound,
    (index) => chosen[index] === true,
  ];
  return styles[random.below(styles.length)] ?? (() => false);
}

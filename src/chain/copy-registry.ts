/**
 * The last writer of the copy of a chain, kept on the host of the copy. The record of a chain says which point its
 * destination holds; another run that writes there cannot know that record, and finds this instead. It never decides
 * what a chain holds: it can only refuse or warn. Only who holds the lock of the copy may change its entry.
 */

import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { errnoOf, reasonOf } from '../base/errno.js';
import { parseObject } from '../base/json-object.js';
import type { FileDevice } from '../device/block-device.js';
import { type DeviceIdentity, identifyPath, identityKey, Topology } from '../device/topology.js';
import { readRegular, replaceDurably, syncDirectory } from '../host/durable-file.js';
import { withFileLock } from '../host/file-lock.js';
import { HELD_DIRECTORY } from '../lvm/thin/held-record.js';
import type { StreamPosition } from '../stream/control-frame.js';
import { type CopyFacts, factsOf, identityAt, isDeviceNow, shareFile } from './copy-facts.js';
import { type CopyEntry, isEntry, MOST_UNDONE, type Writer } from './registry-entry.js';

/** For root as for any user: each has copies of its own. */
export function registryDirectory(): string {
  if (process.getuid?.() === 0) return join(HELD_DIRECTORY, 'copies');
  // The XDG rules: what is empty or relative counts as not set.
  const { XDG_STATE_HOME: given = '', HOME: home = '' } = process.env;
  const state = isAbsolute(given)
    ? given
    : join(isAbsolute(home) ? home : userInfo().homedir, '.local/state');
  return join(state, 'lvmsync/copies');
}

/** Entries of copies that are not there any more are removed where there are more than these. */
const MOST_ENTRIES = 1024;
const SUFFIX = '.json';
const LOCK = 'lock';
const DRAFT_SUFFIX = '.draft';

/** The entry of one copy. Reads it once; changes it durably. */
export class RegisteredCopy {
  readonly #facts: CopyFacts;
  readonly #file: string;
  #entry: CopyEntry | undefined;
  /** Why there is none, where there seems to be one. */
  readonly unreadable: string | undefined;

  private constructor(facts: CopyFacts, found: Found) {
    this.#facts = facts;
    this.#file = found.file;
    this.#entry = found.entry;
    this.unreadable = found.fault;
  }

  /** Throws nothing for what is missing, forbidden or damaged. */
  static async find(
    device: FileDevice,
    directory = registryDirectory(),
    entries: () => Entries = () => entriesIn(directory),
  ): Promise<RegisteredCopy> {
    const facts = await factsOf(device);
    const { inode, identity } = facts;
    const found = readEntry(join(directory, entryName(identity)));
    const wanted = identityKey(device.identity);
    const isCopy = (entry: CopyEntry): boolean => {
      // Asked of few: what leads to another host may not answer.
      if (inode === null || entry.inode !== inode) return false;
      const there = identifyPath(entry.path);
      return there !== undefined && identityKey(there) === wanted;
    };
    const isFound = found.entry !== undefined || found.fault !== undefined;
    const byOtherName = isFound ? undefined : entries().find(({ entry }) => isCopy(entry));
    return new RegisteredCopy(facts, byOtherName ?? found);
  }

  /**
   * Other copies of chains that hold bytes of that one, or whose bytes it holds: the disk of a partition, a
   * device-mapper device on another one, parts of a file that loop devices show.
   */
  static async findOverlapping(
    device: FileDevice,
    directory = registryDirectory(),
    entries: () => Entries = () => entriesIn(directory),
    topology = new Topology(),
  ): Promise<readonly RegisteredCopy[]> {
    const facts = await factsOf(device);
    const { identity } = device;
    const below = topology.builtOn(identity).map(identityKey);
    const isStackedWith = (other: DeviceIdentity): boolean =>
      below.includes(identityKey(other)) ||
      topology.builtOn(other).map(identityKey).includes(identityKey(identity));
    return entries().flatMap((found) => {
      const { path, inode, chain, size } = found.entry;
      if (chain === null || basename(found.file) === entryName(facts.identity)) return [];
      const other = found.entry.identity ?? identityAt(found.entry);
      if (other === undefined) return [];
      const overlaps =
        shareFile(facts, { identity: other, size: size ?? Infinity }) ||
        isDeviceNow(found.entry, other, isStackedWith);
      const known = { path, inode, identity: other, size: size ?? 0 };
      return overlaps ? [new RegisteredCopy(known, found)] : [];
    });
  }

  /** The entry of the run that wrote last, as far as it is known. */
  get entry(): CopyEntry | undefined {
    return this.#entry;
  }

  /** Durable when it returns. Throws what the file system does. */
  write(writer: Writer): void {
    const at = new Date().toISOString();
    this.#replace({ version: 1, ...this.#facts, at, ...writer });
  }

  /** The same, unless another receiver of the same run was faster. */
  writePart(writer: Writer): void {
    this.#locked(() => {
      const { entry } = readEntry(this.#file);
      if (entry?.run === writer.run) this.#entry = entry;
      else this.write(writer);
    });
  }

  /** Against other receivers of the same run, which have the copy at the same time. */
  #locked(work: () => void): void {
    makeFolder(dirname(this.#file));
    withFileLock(join(dirname(this.#file), LOCK), work);
  }

  /** Adds to the entry, durably, what became of the run, or of the undoing of it. */
  note(facts: Pick<CopyEntry, 'left' | 'settled' | 'parts' | 'done' | 'undone'>): void {
    if (this.#entry !== undefined) this.#replace({ ...this.#entry, ...facts });
  }

  /** Of one of several streams that finished: adds it to those in the file, and the facts when it was the last one. */
  endPart(
    { streamIndex, streamCount }: StreamPosition,
    facts: () => Pick<CopyEntry, 'left' | 'done'>,
  ): void {
    this.#locked(() => {
      const { entry } = readEntry(this.#file);
      if (entry === undefined || entry.run !== this.#entry?.run) return;
      const ended = [...new Set([...(entry.ended ?? []), streamIndex])];
      this.#replace({ ...entry, ended, ...(ended.length === streamCount && facts()) });
    });
  }

  /** Puts the former entry into its place again, or one that only says so: of a run that was undone. */
  restore({ left, settled }: Pick<CopyEntry, 'left' | 'settled'>): void {
    if (this.#entry === undefined) return;
    const { former, undo, undone = [], run } = this.#entry;
    const ids = [undo ?? run, ...(former?.undone ?? []), ...undone].slice(0, MOST_UNDONE);
    const nothing = {
      ...this.#entry,
      run: randomUUID(),
      undo: null,
      former: null,
      parts: undefined,
      done: undefined,
      ended: undefined,
      undoes: undefined,
    };
    this.#replace({ ...(former ?? nothing), left, settled, undone: ids });
  }

  #replace(entry: CopyEntry): void {
    const directory = dirname(this.#file);
    makeFolder(directory);
    if (!existsSync(this.#file)) forgetOldest(directory);
    // Receivers of several streams write the same entry at once.
    const draft = `${this.#file}.${randomUUID()}${DRAFT_SUFFIX}`;
    replaceDurably(this.#file, `${JSON.stringify(entry)}\n`, { draft });
    this.#entry = entry;
  }
}

/** With those above it, durably. (Where a folder may not be made in /proc, mkdirSync with `recursive` never ends.) */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another run was faster.
    if (!existsSync(path)) throw error;
  }
  syncDirectory(dirname(path));
}

function entryName(identity: string): string {
  return createHash('sha256').update(identity).digest('hex').slice(0, 32) + SUFFIX;
}

interface Found {
  readonly file: string;
  readonly entry?: CopyEntry | undefined;
  readonly fault?: string | undefined;
}

function readEntry(file: string): Found {
  let text: string;
  try {
    text = readRegular(file);
  } catch (error) {
    const code = reasonOf(error);
    return code === 'ENOENT' ? { file } : { file, fault: `cannot be read (${code})` };
  }
  const value = parseObject(text);
  return isEntry(value) ? { file, entry: value } : { file, fault: 'cannot be understood' };
}

function listFiles(directory: string): readonly string[] {
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch {
    return [];
  }
}

type Entries = readonly (Found & { readonly entry: CopyEntry })[];

/** All entries, read when they are first asked for, and once. */
export function readOnce(directory: string): () => Entries {
  let entries: Entries | undefined;
  return () => {
    entries ??= entriesIn(directory);
    return entries;
  };
}

/** One file of the registry: an entry, or why it cannot be read. */
export type RegistryFile = Found;

/** All of them, read now. Throws what the file system does, but for a registry that is not there. */
export function registryFiles(directory = registryDirectory()): readonly RegistryFile[] {
  const found = namesIn(directory)
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => readEntry(join(directory, name)));
  // Another run may just have removed one.
  return found.filter(({ entry, fault }) => entry !== undefined || fault !== undefined);
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function entriesIn(directory: string): Entries {
  return listFiles(directory)
    .filter((file) => file.endsWith(SUFFIX))
    .flatMap((file) => {
      const { entry } = readEntry(file);
      return entry === undefined ? [] : [{ file, entry }];
    });
}

/** So that the folder does not grow for ever. Also drafts that a crash left. */
function forgetOldest(directory: string): void {
  const files = listFiles(directory).filter((file) => basename(file) !== LOCK);
  const drafts = files.filter((file) => file.endsWith(DRAFT_SUFFIX));
  for (const file of drafts.filter(isOld)) rmSync(file, { force: true });
  const excess = files.length - drafts.length - MOST_ENTRIES + 1;
  if (excess <= 0) return;
  const entries = [...entriesIn(directory)];
  entries.sort((one, other) => one.entry.at.localeCompare(other.entry.at));
  const gone = entries.filter(({ entry }) => !existsSync(entry.path));
  for (const { file } of gone.slice(0, excess)) rmSync(file, { force: true });
}

const DAY_MS = 24 * 3600 * 1000;

function isOld(file: string): boolean {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats !== undefined && Date.now() - stats.mtimeMs > DAY_MS;
}

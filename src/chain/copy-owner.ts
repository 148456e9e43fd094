/** Whose copy a destination is: what a run asks the registry of copies before it writes, and records there. */

import { randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { messageOf } from '../base/errno.js';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import type { FileDevice } from '../device/block-device.js';
import { WRITTEN, wasWritten, writeMark } from '../device/write-mark.js';
import type { RunContext } from '../run/context.js';
import type { Reporter } from '../run/reporter.js';
import type { Hello } from '../stream/control-frame.js';
import { chainOf, isLinkOfChain, keepFormer, leftByChain, withUndone } from './copy-entry.js';
import {
  type CopyEntry,
  MOST_FORMER,
  RegisteredCopy,
  readOnce,
  registryDirectory,
  type Writer,
} from './copy-registry.js';
import {
  type CopyNow,
  doubtOf,
  isSameDirectory,
  isWritten,
  KILLED,
  knownIn,
} from './copy-verdict.js';
import type { ChainRecord, RecordWriter } from './record.js';
import { spotsDiffer } from './spot-check.js';
import { FORCED, type Undoing, type UndoQuestion, undoingOf, whyNotNext } from './undo-order.js';

/** One run that is going to write a destination. Its failures are warnings: the registry is a second witness. */
export class CopyOwner {
  readonly #copy: RegisteredCopy;
  /** Copies of chains that share bytes with it. */
  readonly #overlapping: readonly RegisteredCopy[];
  readonly #device: FileDevice;
  readonly #path: string;
  /** Before this run writes. */
  readonly #markBefore: string | undefined;
  readonly #command: string;
  readonly #reporter: Pick<Reporter, 'warn'>;
  #announced = false;
  /** Known after requireOwn. */
  #spotsDiffer = false;

  private constructor(copies: Copies, device: FileDevice, context: OwnerContext) {
    this.#copy = copies.own;
    this.#overlapping = copies.overlapping;
    this.#device = device;
    this.#path = device.path;
    this.#markBefore = writeMark(device);
    this.#command = context.commandLine;
    this.#reporter = context.reporter;
  }

  static async find(
    device: FileDevice,
    context: OwnerContext,
    directory = registryDirectory(),
  ): Promise<CopyOwner> {
    const entries = readOnce(directory);
    const own = await RegisteredCopy.find(device, directory, entries);
    const overlapping = await RegisteredCopy.findOverlapping(device, directory, entries);
    return new CopyOwner({ own, overlapping }, device, context);
  }

  /**
   * Before a turn or a rollback of a chain. Throws (destinationUnfit) if something else wrote last, unless
   * that is forced: then it warns.
   */
  async requireOwn(
    record: ChainRecord,
    directory: string,
    { force }: { readonly force: boolean },
  ): Promise<void> {
    const { entry, unreadable } = this.#copy;
    await this.#look(record);
    const doubt = doubtOf(entry, record, { directory, ...this.#now });
    if (doubt !== undefined) {
      const message = `${this.#path}: ${doubt.why}`;
      if (!force) throw new LvmsyncError('destinationUnfit', message, doubt.remedy);
      this.#reporter.warn(message);
    } else if (entry === undefined) {
      const why = unreadable === undefined ? 'it has no entry' : `its entry ${unreadable}`;
      this.#reporter.warn(
        `${this.#path}: ${why} in the registry of copies: assuming that nothing else has written to it`,
      );
    } else if (knownIn(record) === undefined && record.doing !== null) {
      this.#reporter.warn(`${this.#path}: ${KILLED}`);
    }
  }

  /** After requireOwn: whether something that is noted nowhere wrote to it since the last run of the chain. */
  wasWritten(record: ChainRecord): boolean {
    return isWritten(this.#copy.entry, record, this.#now);
  }

  async #look(record: ChainRecord): Promise<void> {
    this.#spotsDiffer = await spotsDiffer(this.#device, knownIn(record)?.spots ?? []);
  }

  get #now(): CopyNow {
    return { mark: this.#markBefore, spotsDiffer: this.#spotsDiffer };
  }

  /** To be written to the record of a chain before `announce`, so that no crash makes the two contradict each other. */
  newWriter(): RecordWriter {
    const run = randomBytes(16).toString('hex');
    return { run, before: this.#copy.entry?.run ?? null, at: new Date().toISOString() };
  }

  /** Before a run of a chain changes the destination, and after its record said so. */
  announce({ run }: RecordWriter, directory: string): void {
    const chain = realpathSync(directory);
    const { entry } = this.#copy;
    // Undo files of runs before it are known still, so that none is taken for one of a later run.
    const former =
      entry === undefined || entry.chain !== null ? entry?.former : this.#asFormer(entry);
    this.#write({ run, chain, undo: null, former: former ?? null });
    this.#announceOverlap(run, chain);
  }

  /** Their chains find out with their next run, as they do of any other that wrote to their copy. */
  #announceOverlap(run: string, chain: string | null): void {
    const writer = { run, chain, command: this.#command, undo: null, former: null };
    for (const copy of this.#overlapping) this.#attempt(() => copy.write(writer));
  }

  /** After the record of a chain said that its run is done. `mark`: as the record has it. */
  leave(mark: string | undefined): void {
    this.#attempt(() => this.#copy.note({ left: mark, done: true }));
  }

  /** Before a run that begins a chain, or is of none. `undoes`: what it applies. */
  warnOfChain(directory?: string, undoes?: Hello): void {
    const { entry, unreadable } = this.#copy;
    if (unreadable !== undefined && directory === undefined) {
      this.#reporter.warn(
        `${this.#path}: its entry in the registry of copies ${unreadable}: if it is the copy of a cycle, the next cycle run or rollback of that cycle will be refused once this run has written to it`,
      );
    }
    for (const { entry: other } of this.#overlapping) {
      if (other?.chain)
        this.#warnOf(`${other.path}, which shares bytes with ${this.#path},`, other.chain);
    }
    const chain = chainOf(entry);
    if (chain === undefined || this.#undoing(undoes) !== undefined) return;
    if (directory !== undefined && isSameDirectory(chain, directory)) return;
    this.#warnOf(this.#path, chain);
  }

  #warnOf(copy: string, chain: string): void {
    this.#reporter.warn(
      `${copy} is the copy of the chain in ${chain}: once this run has written to it, the next cycle run or rollback of that chain will be refused`,
    );
  }

  /**
   * Throws (destinationUnfit) for a snapback of a run after which another one, or something else, wrote. `newer`: the
   * link of a chain that has to be undone before it.
   */
  requireNewest(undoes: Hello, newer: UndoQuestion['newer']): void {
    const { entry } = this.#copy;
    const what = whyNotNext({ entry, undoes, newer, markBefore: this.#markBefore });
    if (what === undefined) return;
    const isSaved = entry?.undo || entry?.parts !== undefined;
    throw new LvmsyncError('destinationUnfit', `${this.#path}: ${what.why}`, {
      ...UNTOUCHED,
      hint:
        what.laterRun && isSaved
          ? `Undo the later run first, with its snapback. ${FORCED}`
          : FORCED,
    });
  }

  get entry(): CopyEntry | undefined {
    return this.#copy.entry;
  }

  /** Whether the run that the snapback undoes is known to have finished. */
  hasFinished(undoes: Hello): boolean {
    const undoing = this.#undoing(undoes);
    return this.#copy.entry?.done === true && (undoing === 'last' || undoing === 'part');
  }

  /**
   * Before a run that is of no chain changes the destination; may be called again. Where no chain ever wrote,
   * and nothing can be undone, there is nothing to note. `set`: names the streams of one run, whose receivers all come here.
   */
  announceOther({ undo, set, undoes }: OtherRun): void {
    const { entry, unreadable } = this.#copy;
    if (this.#announced) return;
    this.#announced = true;
    this.#announceOverlap(set ?? randomBytes(16).toString('hex'), null);
    const isLink = undoes !== undefined && isLinkOfChain(undoes);
    if (entry === undefined && unreadable === undefined && undo === null && !isLink) return;
    if (set !== undefined && entry?.run === set) return;
    const isUnknownUndo = undoes?.kind === 'snapback' && chainOf(entry) === undefined;
    if (this.#undoing(undoes) !== undefined || (isUnknownUndo && entry !== undefined)) {
      const left = this.#isWrittenSince(entry?.left) ? WRITTEN : undefined;
      this.#attempt(() => this.#copy.note({ left, settled: undefined }));
      return;
    }
    const run = set ?? randomBytes(16).toString('hex');
    const former = entry && this.#asFormer(entry);
    this.#write({
      run,
      chain: null,
      undo: set === undefined ? undo : null,
      former: former ?? null,
      ...(set !== undefined && undo !== null && { parts: [] }),
    });
  }

  /** As it can be put back when the run after it is undone. */
  #asFormer(entry: CopyEntry): CopyEntry {
    const left = entry.left ?? leftByChain(entry);
    const kept = keepFormer(entry, MOST_FORMER - 1);
    return { ...kept, left: this.#isWrittenSince(left) ? WRITTEN : left };
  }

  /**
   * After a run that is of no chain, when all is durable. If it applied the whole of the snapback that undoes
   * exactly what wrote last, a chain may go on. `torn`: that has no end, as of a run that was cut off.
   */
  settle(undoes?: Hello, torn = false): void {
    const { entry } = this.#copy;
    if (entry === undefined) return;
    const undoing = this.#undoing(undoes);
    // A run that finished wrote one: if it is missing, the file was damaged since.
    const isExact = !(torn && entry.done === true);
    if (undoing === 'last' && isExact) this.#restore(entry);
    else if (undoing === 'part' && isExact && undoes !== undefined) this.#takePart(entry, undoes);
    else if (undoing !== undefined || undoes?.kind === 'snapback') {
      const left = entry.left === WRITTEN ? WRITTEN : undefined;
      const isLink = undoing === undefined && undoes !== undefined && isLinkOfChain(undoes);
      const settled = isLink || undoing === 'again' ? writeMark(this.#device) : undefined;
      const undone = isLink ? withUndone(entry, undoes) : {};
      this.#attempt(() => this.#copy.note({ left: left ?? settled, settled, ...undone }));
    } else if (this.#announced) this.#leaveLast(entry.parts !== undefined);
  }

  /** Of several receivers that end at once each may note what the last one of them found, or an older mark. */
  #leaveLast(isPart: boolean): void {
    for (let time = 0; time < MOST_LEAVES; time++) {
      const mark = writeMark(this.#device);
      this.leave(mark);
      if (!isPart || writeMark(this.#device) === mark) return;
    }
  }

  #restore(entry: CopyEntry): void {
    const before = entry.left === WRITTEN ? WRITTEN : entry.former?.left;
    const settled = writeMark(this.#device);
    const isKnown = before !== undefined && before !== WRITTEN;
    this.#attempt(() => this.#copy.restore({ left: isKnown ? settled : before, settled }));
  }

  /** All parts together undo the run. */
  #takePart(entry: CopyEntry, { streamIndex, streamCount }: Hello): void {
    const parts = [...new Set([...(entry.parts ?? []), streamIndex])];
    if (parts.length === streamCount) this.#restore(entry);
    else this.#attempt(() => this.#copy.note({ parts }));
  }

  #isWrittenSince(left: string | undefined): boolean {
    return wasWritten(left, this.#markBefore);
  }

  #undoing(hello: Hello | undefined): Undoing {
    const { entry } = this.#copy;
    return entry && hello && undoingOf(entry, hello);
  }

  #write(writer: Omit<Writer, 'command'>): void {
    this.#attempt(() => this.#copy.write({ ...writer, command: this.#command }));
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      const why = messageOf(error);
      this.#reporter.warn(
        `${this.#path}: this run cannot be recorded in the registry of copies (${why}): later runs will not know of it`,
      );
    }
  }
}

const MOST_LEAVES = 10;

interface Copies {
  readonly own: RegisteredCopy;
  readonly overlapping: readonly RegisteredCopy[];
}

type OwnerContext = Pick<RunContext, 'commandLine'> & { readonly reporter: Pick<Reporter, 'warn'> };

export interface OtherRun {
  /** Stream id, in hexadecimal, of the snapback that it keeps. */
  readonly undo: string | null;
  readonly set?: string | undefined;
  readonly undoes?: Hello | undefined;
}

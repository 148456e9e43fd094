/** Runs that are of no chain, and undo files, as the registry of copies has them. */

import { randomBytes } from 'node:crypto';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { WRITTEN, writeMark } from '../device/write-mark.js';
import type { Hello, StreamPosition } from '../stream/control-frame.js';
import { CopyAccess } from './copy-access.js';
import { chainOf, idOf, isLinkOfChain, withUndone } from './copy-entry.js';
import type { CopyEntry } from './registry-entry.js';
import {
  describeNotNext,
  UNKNOWN_SINCE,
  type Undoing,
  type UndoQuestion,
  undoingOf,
  whyNotNext,
} from './undo-order.js';

export class OtherRunNotes extends CopyAccess {
  #announced = false;
  /** Of several receivers of one run. */
  #isPart = false;

  /** Throws (destinationUnfit) for a snapback of a run after which another one, or something else, wrote. */
  requireNewest(undoes: Hello, facts: UndoQuestion['facts']): void {
    const { entry } = this.copy;
    const notNext = whyNotNext({ entry, undoes, facts, markBefore: this.markBefore });
    if (notNext !== undefined) {
      const { why, hint } = describeNotNext(notNext, entry);
      throw new LvmsyncError('destinationUnfit', `${this.path}: ${why}`, { ...UNTOUCHED, hint });
    }
    const undoing = this.undoing(undoes);
    const isOfRun = undoing === 'last' || undoing === 'part';
    // Of one that finished without a mark nothing counts the writes: that is so each time.
    if (isOfRun && entry?.left === undefined && entry?.done !== true)
      this.reporter.warn(`${this.path}: ${UNKNOWN_SINCE}`);
  }

  /** Whether the run that the snapback undoes is known to have finished. */
  hasFinished(undoes: Hello): boolean {
    const { entry } = this.copy;
    const undoing = this.undoing(undoes);
    if (entry?.done !== true) return false;
    // An older program noted the end of the run when the first of its streams had ended.
    return undoing === 'last' || (undoing === 'part' && entry.ended?.length === undoes.streamCount);
  }

  /**
   * Before a run that is of no chain changes the destination; may be called again. Where no chain ever wrote,
   * and nothing can be undone, there is nothing to note. `set`: names the streams of one run, whose receivers all come here.
   */
  announceOther({ undo, set, undoes }: OtherRun): void {
    const { entry, unreadable } = this.copy;
    if (this.#announced) return;
    this.#announced = true;
    this.#isPart = set !== undefined;
    this.announceOverlap(set ?? randomBytes(16).toString('hex'), null);
    const isLink = undoes !== undefined && isLinkOfChain(undoes);
    if (entry === undefined && unreadable === undefined && undo === null && !isLink) return;
    if (set !== undefined && entry?.run === set) return;
    const isUnknownUndo = undoes?.kind === 'snapback' && !isLink && chainOf(entry) === undefined;
    if (this.undoing(undoes) !== undefined || (isUnknownUndo && entry !== undefined)) {
      const left = this.isWrittenSince(entry?.left) ? WRITTEN : undefined;
      this.attempt(() => this.copy.note({ left, settled: undefined }));
      return;
    }
    const run = set ?? randomBytes(16).toString('hex');
    const former = entry && this.asFormer(entry);
    const note = {
      run,
      chain: null,
      undo: set === undefined ? undo : null,
      former: former ?? null,
      ...(isLink && { undoes: idOf(undoes) }),
      ...(set !== undefined && undo !== null && { parts: [] }),
    };
    if (set === undefined) this.write(note);
    else this.writePart(note);
  }

  /**
   * After a run that is of no chain, when all is durable. If it applied the whole of the snapback that undoes
   * exactly what wrote last, a chain may go on. `torn`: that has no end, as of a run that was cut off. `place`: of one of
   * several streams.
   */
  settle({ undoes, torn = false, isFinishedRun, place }: Settled = {}): void {
    const { entry } = this.copy;
    if (entry === undefined) return;
    const undoing = this.undoing(undoes);
    // A run that finished wrote one: if it is missing, the file was damaged since.
    const isFinished = isFinishedRun === true || (undoes !== undefined && this.hasFinished(undoes));
    const isExact = !(torn && isFinished);
    if (undoing === 'last' && isExact) this.#restore(entry);
    else if (undoing === 'part' && isExact && undoes !== undefined) this.#takePart(entry, undoes);
    else if (undoing !== undefined || undoes?.kind === 'snapback') {
      const left = entry.left === WRITTEN ? WRITTEN : undefined;
      const isLink =
        isExact && undoing === undefined && undoes !== undefined && isLinkOfChain(undoes);
      const settled = isLink || undoing === 'again' ? writeMark(this.device) : undefined;
      const undone = isLink ? withUndone(entry, undoes) : {};
      this.attempt(() => this.copy.note({ left: left ?? settled, settled, ...undone }));
    } else if (this.#announced && place !== undefined) {
      const facts = () => ({ left: writeMark(this.device), done: true }) as const;
      this.attempt(() => this.copy.endPart(place, facts));
    } else if (this.#announced) this.leave(writeMark(this.device));
  }

  #restore(entry: CopyEntry): void {
    const before = entry.left === WRITTEN ? WRITTEN : entry.former?.left;
    const settled = writeMark(this.device);
    const isKnown = before !== undefined && before !== WRITTEN;
    this.attempt(() => this.copy.restore({ left: isKnown ? settled : before, settled }));
  }

  /** All parts together undo the run. */
  #takePart(entry: CopyEntry, { streamIndex, streamCount }: Hello): void {
    const parts = [...new Set([...(entry.parts ?? []), streamIndex])];
    if (parts.length === streamCount) this.#restore(entry);
    else {
      const left = entry.left === WRITTEN ? WRITTEN : writeMark(this.device);
      this.attempt(() => this.copy.note({ parts, left }));
    }
  }

  protected undoing(hello: Hello | undefined): Undoing {
    const { entry } = this.copy;
    return entry && hello && undoingOf(entry, hello);
  }

  /** After a run of no chain that failed, when it writes nothing any more. Throws nothing. */
  async interrupt(): Promise<void> {
    const { entry } = this.copy;
    // Others may be writing the other parts still.
    if (!this.#announced || this.#isPart || entry === undefined || entry.left === WRITTEN) return;
    const isDurable = await this.device.sync().then(
      () => true,
      () => false,
    );
    if (isDurable) this.noteLeft(writeMark(this.device));
  }
}

export interface Settled {
  readonly undoes?: Hello | undefined;
  readonly torn?: boolean;
  /** The run that it undoes is known to have finished. */
  readonly isFinishedRun?: boolean | undefined;
  readonly place?: StreamPosition | undefined;
}

export interface OtherRun {
  /** Stream id, in hexadecimal, of the snapback that it keeps. */
  readonly undo: string | null;
  readonly set?: string | undefined;
  readonly undoes?: Hello | undefined;
}

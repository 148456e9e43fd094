/** Whose copy a destination is: what a run asks the registry of copies before it writes, and records there. */

import { randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { LvmsyncError } from '../base/errors.js';
import type { FileDevice } from '../device/block-device.js';
import type { Hello } from '../stream/control-frame.js';
import type { OwnerContext } from './copy-access.js';
import { chainOf } from './copy-entry.js';
import { RegisteredCopy, readOnce, registryDirectory } from './copy-registry.js';
import {
  type CopyNow,
  doubtOf,
  isSameDirectory,
  isWritten,
  KILLED,
  knownIn,
  leftOf,
} from './copy-verdict.js';
import { OtherRunNotes } from './other-run-notes.js';
import type { ChainRecord, RecordWriter } from './record.js';
import { spotsDiffer } from './spot-check.js';

export interface OwnRules {
  readonly force: boolean;
  /** The copy is compared: also if something else wrote to it. */
  readonly anyway?: boolean;
  /** Another receiver of the same run warns. */
  readonly isTold?: boolean;
}

/** One run that is going to write a destination. Its failures are warnings: the registry is a second witness. */
export class CopyOwner extends OtherRunNotes {
  /** Known after requireOwn. */
  #spotsDiffer = false;

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
   * that is forced, or the copy is compared `anyway`: then it warns. Resolves with whether that is so.
   */
  async requireOwn(
    record: ChainRecord,
    directory: string,
    { force, anyway = false, isTold = false }: OwnRules,
  ): Promise<boolean> {
    const { entry, unreadable } = this.copy;
    const warn = (message: string): void => {
      if (!isTold) this.reporter.warn(message);
    };
    await this.#look(record);
    const doubt = doubtOf(entry, record, { directory, ...this.#now });
    if (doubt !== undefined) {
      const message = `${this.path}: ${doubt.why}`;
      if (!force && !(anyway && !doubt.isTaken))
        throw new LvmsyncError('destinationUnfit', message, doubt.remedy);
      warn(message);
    } else if (entry === undefined) {
      const why = unreadable === undefined ? 'it has no entry' : `its entry ${unreadable}`;
      warn(
        `${this.path}: ${why} in the registry of copies: assuming that nothing else has written to it`,
      );
    } else if (record.doing !== null && leftOf(entry, record) === undefined) {
      if (!anyway) warn(`${this.path}: ${KILLED}`);
    }
    return doubt !== undefined;
  }

  /** After requireOwn: whether something that is noted nowhere wrote to it since the last run of the chain. */
  wasWritten(record: ChainRecord): boolean {
    return isWritten(this.copy.entry, record, this.#now);
  }

  async #look(record: ChainRecord): Promise<void> {
    this.#spotsDiffer = await spotsDiffer(this.device, knownIn(record)?.spots ?? []);
  }

  get #now(): CopyNow {
    return { mark: this.markBefore, spotsDiffer: this.#spotsDiffer };
  }

  /** To be written to the record of a chain before `announce`, so that no crash makes the two contradict each other. */
  newWriter(): RecordWriter {
    const run = randomBytes(16).toString('hex');
    return { run, before: this.copy.entry?.run ?? null, at: new Date().toISOString() };
  }

  /** Before a run of a chain changes the destination, and after its record said so. */
  announce({ run }: RecordWriter, directory: string): void {
    const chain = realpathSync(directory);
    const { entry } = this.copy;
    // Undo files of runs before it are known still, so that none is taken for one of a later run.
    const isKept = entry?.chain === null || entry?.undone !== undefined;
    const former = entry && isKept ? this.asFormer(entry) : entry?.former;
    this.write({ run, chain, undo: null, former: former ?? null });
    this.announceOverlap(run, chain);
  }

  /** Before a run that begins a chain, or is of none. `undoes`: what it applies. */
  warnOfChain(directory?: string, undoes?: Hello): void {
    const { entry, unreadable } = this.copy;
    if (unreadable !== undefined && directory === undefined) {
      this.reporter.warn(
        `${this.path}: its entry in the registry of copies ${unreadable}: if it is the copy of a cycle, the next cycle run or rollback of that cycle will be refused once this run has written to it`,
      );
    }
    for (const { entry: other } of this.overlapping) {
      if (other?.chain)
        this.#warnOf(`${other.path}, which shares bytes with ${this.path},`, other.chain);
    }
    const chain = chainOf(entry);
    if (chain === undefined || this.undoing(undoes) !== undefined) return;
    if (directory !== undefined && isSameDirectory(chain, directory)) return;
    this.#warnOf(this.path, chain);
  }

  #warnOf(copy: string, chain: string): void {
    this.reporter.warn(
      `${copy} is the copy of the chain in ${chain}: once this run has written to it, the next cycle run or rollback of that chain will be refused`,
    );
  }
}

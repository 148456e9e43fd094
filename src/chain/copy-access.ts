/** The entry of one copy in the registry, and those of copies that share bytes with it, as one run reads and changes them. */

import { messageOf } from '../base/errno.js';
import type { FileDevice } from '../device/block-device.js';
import { WRITTEN, wasWritten, writeMark } from '../device/write-mark.js';
import type { RunContext } from '../run/context.js';
import type { Reporter } from '../run/reporter.js';
import { keepFormer, leftByChain } from './copy-entry.js';
import type { RegisteredCopy } from './copy-registry.js';
import { type CopyEntry, MOST_FORMER, type Writer } from './registry-entry.js';

export interface Copies {
  readonly own: RegisteredCopy;
  readonly overlapping: readonly RegisteredCopy[];
}

export type OwnerContext = Pick<RunContext, 'commandLine'> & {
  readonly reporter: Pick<Reporter, 'warn'>;
};

/** Failures to note anything are warnings: the registry is a second witness. */
export class CopyAccess {
  protected readonly copy: RegisteredCopy;
  protected readonly overlapping: readonly RegisteredCopy[];
  protected readonly device: FileDevice;
  protected readonly path: string;
  /** The writeMark before this run writes. */
  protected readonly markBefore: string | undefined;
  readonly #command: string;
  protected readonly reporter: Pick<Reporter, 'warn'>;

  protected constructor(copies: Copies, device: FileDevice, context: OwnerContext) {
    this.copy = copies.own;
    this.overlapping = copies.overlapping;
    this.device = device;
    this.path = device.path;
    this.markBefore = writeMark(device);
    this.#command = context.commandLine;
    this.reporter = context.reporter;
  }

  get entry(): CopyEntry | undefined {
    return this.copy.entry;
  }

  /** After a run that finished, and that its chain has recorded. `mark`: as the record has it. */
  leave(mark: string | undefined): void {
    this.attempt(() => this.copy.note({ left: mark, done: true }));
  }

  /** After a run that failed, when it writes nothing any more. */
  noteLeft(mark: string | undefined): void {
    this.attempt(() => this.copy.note({ left: mark }));
  }

  /** Their chains find out with their next run, as they do of any other that wrote to their copy. */
  protected announceOverlap(run: string, chain: string | null): void {
    const writer = { run, chain, command: this.#command, undo: null, former: null };
    for (const copy of this.overlapping) this.attempt(() => copy.write(writer));
  }

  /** As it can be put back when the run after it is undone. */
  protected asFormer(entry: CopyEntry): CopyEntry {
    const left = entry.left ?? leftByChain(entry);
    const kept = keepFormer(entry, MOST_FORMER - 1);
    return { ...kept, left: this.isWrittenSince(left) ? WRITTEN : left };
  }

  protected isWrittenSince(left: string | undefined): boolean {
    return wasWritten(left, this.markBefore);
  }

  protected write(writer: Omit<Writer, 'command'>): void {
    this.attempt(() => this.copy.write({ ...writer, command: this.#command }));
  }

  /** The same of one of several receivers, of which the first one writes it. */
  protected writePart(writer: Omit<Writer, 'command'>): void {
    this.attempt(() => this.copy.writePart({ ...writer, command: this.#command }));
  }

  protected attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      const why = messageOf(error);
      this.reporter.warn(
        `${this.path}: this run cannot be recorded in the registry of copies (${why}): later runs will not know of it`,
      );
    }
  }
}

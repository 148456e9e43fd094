/** Whose copy a destination is: what a run asks the registry of copies before it writes, and tells it. */

import { randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { type ErrorContext, LvmsyncError } from '../base/errors.js';
import type { FileDevice } from '../device/block-device.js';
import { WRITTEN, wasWritten, writeMark } from '../device/write-mark.js';
import type { RunContext } from '../run/context.js';
import type { Reporter } from '../run/reporter.js';
import type { Hello } from '../stream/control-frame.js';
import { type CopyEntry, RegisteredCopy, registryDirectory, type Writer } from './copy-registry.js';
import type { ChainRecord, RecordWriter } from './record.js';

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

  private constructor(copies: Copies, device: FileDevice, context: OwnerContext) {
    this.#copy = copies.own;
    this.#overlapping = copies.overlapping;
    this.#device = device;
    this.#path = device.path;
    this.#markBefore = writeMark(device);
    this.#command = context.command;
    this.#reporter = context.reporter;
  }

  static async find(
    device: FileDevice,
    context: OwnerContext,
    directory = registryDirectory(),
  ): Promise<CopyOwner> {
    const own = await RegisteredCopy.find(device, directory);
    const overlapping = RegisteredCopy.findOverlapping(device, directory);
    return new CopyOwner({ own, overlapping }, device, context);
  }

  /**
   * Before a turn or a rollback of a chain. Throws (destinationUnfit) if something else wrote last, unless
   * that is forced: then it warns.
   */
  requireOwn(record: ChainRecord, directory: string, { force }: { readonly force: boolean }): void {
    const { entry, unreadable } = this.#copy;
    if (entry === undefined) {
      const why = unreadable === undefined ? 'it has no entry' : `its entry ${unreadable}`;
      this.#reporter.warn(
        `${this.#path}: ${why} in the registry of copies: it is taken to hold what the chain left in it`,
      );
    }
    const stranger = strangerIn(entry, record, directory);
    const fault = stranger ?? writtenSince(entry, record, this.#markBefore);
    if (fault === undefined) return;
    const message = `${this.#path}: ${fault}`;
    const context = stranger === undefined ? WRITTEN_SINCE : STRANGER;
    if (!force) throw new LvmsyncError('destinationUnfit', message, context);
    this.#reporter.warn(message);
  }

  /** Whether something that is noted nowhere wrote to it since the last run of the chain. */
  wasWritten(record: ChainRecord): boolean {
    return writtenSince(this.#copy.entry, record, this.#markBefore) !== undefined;
  }

  /** What the record of a chain has to say before `announce`, so that no crash makes the two contradict each other. */
  newWriter(): RecordWriter {
    return { run: randomBytes(16).toString('hex'), before: this.#copy.entry?.run ?? null };
  }

  /** Before a run of a chain changes the destination, and after its record said so. */
  announce({ run }: RecordWriter, directory: string): void {
    const chain = realpathSync(directory);
    this.#write({ run, chain, undo: null, former: null });
    this.#announceOverlap(run, chain);
  }

  /** Their chains find out with their next run, as they do of any other that wrote to their copy. */
  #announceOverlap(run: string, chain: string | null): void {
    const writer = { run, chain, command: this.#command, undo: null, former: null };
    for (const copy of this.#overlapping) this.#attempt(() => copy.write(writer));
  }

  /** After the record of a chain said that its run is done. `left`: as the record has it. */
  leave(left: string | undefined): void {
    this.#attempt(() => this.#copy.leave(left));
  }

  /** Before a run that begins a chain, or is of none. `undoes`: what it applies. */
  warnOfChain(directory?: string, undoes?: Hello): void {
    const { entry, unreadable } = this.#copy;
    if (unreadable !== undefined && directory === undefined) {
      this.#reporter.warn(
        `${this.#path}: its entry in the registry of copies ${unreadable}: if it is the copy of a chain, the next turn or rollback there is refused when this run has written to it`,
      );
    }
    for (const { entry: other } of this.#overlapping) {
      if (other?.chain)
        this.#warnOf(`${other.path}, which shares bytes with ${this.#path},`, other.chain);
    }
    if (entry === undefined || entry.chain === null || this.#isUndoneBy(undoes)) return;
    if (directory !== undefined && isSameDirectory(entry.chain, directory)) return;
    this.#warnOf(this.#path, entry.chain);
  }

  #warnOf(copy: string, chain: string): void {
    this.#reporter.warn(
      `${copy} is the copy of the chain in ${chain}: when this run has written to it, the next turn or rollback there is refused`,
    );
  }

  /**
   * Before a run that is of no chain changes the destination; may be called again. Where no chain ever wrote
   * there is nothing to say. `set`: names the streams of one run, whose receivers all come here.
   */
  announceOther({ undo, set, undoes }: OtherRun): void {
    const { entry, unreadable } = this.#copy;
    if (this.#announced) return;
    this.#announced = true;
    this.#announceOverlap(set ?? randomBytes(16).toString('hex'), null);
    if (entry === undefined && unreadable === undefined) return;
    if (set !== undefined && entry?.run === set) return;
    if (this.#isUndoneBy(undoes)) {
      this.leave(this.#ifWritten(entry?.left, undefined));
      return;
    }
    const run = set ?? randomBytes(16).toString('hex');
    const former =
      entry === undefined || entry.chain === null
        ? null
        : { ...entry, left: this.#ifWritten(entry.left, entry.left) };
    this.#write({ run, chain: null, undo: set === undefined ? undo : null, former });
  }

  /**
   * After a run that is of no chain, when all is durable. If it applied the whole of the snapback that undoes
   * exactly what wrote last, a chain may go on.
   */
  settle(undoes?: Hello): void {
    const { entry } = this.#copy;
    if (entry === undefined) return;
    if (!this.#isUndoneBy(undoes)) {
      if (this.#announced) this.leave(writeMark(this.#device));
      return;
    }
    const { former, left } = entry;
    const before = left === WRITTEN ? left : former?.left;
    const now = before === undefined || before === WRITTEN ? before : writeMark(this.#device);
    this.#attempt(() => this.#copy.restore(now));
  }

  /** That it was written since it was left so, else `otherwise`. */
  #ifWritten(left: string | undefined, otherwise: string | undefined): string | undefined {
    return wasWritten(left, this.#markBefore) ? WRITTEN : otherwise;
  }

  #isUndoneBy(hello: Hello | undefined): boolean {
    const { entry } = this.#copy;
    if (hello?.kind !== 'snapback' || hello.streamCount !== 1 || !entry?.former) return false;
    return entry.undo === Buffer.from(hello.streamId).toString('hex');
  }

  #write(writer: Omit<Writer, 'command'>): void {
    this.#attempt(() => this.#copy.write({ ...writer, command: this.#command }));
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#reporter.warn(
        `${this.#path}: what writes to it cannot be noted in the registry of copies (${why}): another run will not know of this one`,
      );
    }
  }
}

interface Copies {
  readonly own: RegisteredCopy;
  readonly overlapping: readonly RegisteredCopy[];
}

type OwnerContext = Pick<RunContext, 'command'> & { readonly reporter: Pick<Reporter, 'warn'> };

export interface OtherRun {
  /** Stream id, in hexadecimal, of the snapback that it keeps. */
  readonly undo: string | null;
  readonly set?: string | undefined;
  readonly undoes?: Hello | undefined;
}

const REPAIR =
  'if the snapshot that the chain says the copy holds is still there, make the copy equal to it ("lvmsync verify --full --repair --data-source /dev/VG/SNAPSHOT VG/SNAPSHOT COPY"), then use --force once';

const STRANGER: ErrorContext = {
  state: 'Nothing was written.',
  hint: `Undo that run with its snapback, if it kept one. Or, ${REPAIR}. Or begin anew with --init --force.`,
};

const WRITTEN_SINCE: ErrorContext = {
  state: 'Nothing was written.',
  hint: `Either, ${REPAIR}. Or begin anew with --init --force. With --force alone the run goes on, and what was written stays in the copy.`,
};

/** That something wrote to the copy which is noted nowhere; undefined where it is not known to. */
export function writtenSince(
  entry: CopyEntry | undefined,
  { writer, doing, left }: Pick<ChainRecord, 'writer' | 'doing' | 'left'>,
  now: string | undefined,
): string | undefined {
  if (doing !== null) return undefined;
  // Newer where what was written after it was undone.
  const isOfLast = entry !== undefined && entry.run === writer?.run;
  const before = (isOfLast ? entry.left : undefined) ?? left;
  return wasWritten(before, now)
    ? 'something else wrote to it since the last run of this chain, as a mount does: it may not hold what this chain says'
    : undefined;
}

/** Why the chain can no longer know what the copy holds; undefined if it can. */
export function strangerIn(
  entry: CopyEntry | undefined,
  { writer }: Pick<ChainRecord, 'writer'>,
  directory: string,
): string | undefined {
  if (entry === undefined) return undefined;
  const { run, chain, command, at } = entry;
  const isOwn =
    writer === undefined
      ? // Written by a program that kept no registry.
        chain !== null && isSameDirectory(chain, directory)
      : run === writer.run || run === writer.before;
  if (isOwn) return undefined;
  const whose =
    chain === null
      ? 'which is no run of this chain'
      : isSameDirectory(chain, directory)
        ? 'which the record of this chain does not know'
        : `a run of the chain in ${chain}`;
  return `it was written at ${at} by "${command}", ${whose}: it may not hold what this chain says`;
}

function isSameDirectory(recorded: string, directory: string): boolean {
  try {
    return recorded === realpathSync(directory);
  } catch {
    return false;
  }
}

/** Whose copy a destination is: what a run asks the registry of copies before it writes, and tells it. */

import { randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import type { FileDevice } from './block-device.js';
import type { ChainRecord, RecordWriter } from './chain-record.js';
import type { Hello } from './control-frame.js';
import { type CopyEntry, RegisteredCopy, registryDirectory, type Writer } from './copy-registry.js';
import { type ErrorContext, LvmsyncError } from './errors.js';
import type { Reporter } from './reporter.js';
import type { RunContext } from './run-context.js';

/** One run that is going to write a destination. Its failures are warnings: the registry is a second witness. */
export class CopyOwner {
  readonly #copy: RegisteredCopy;
  readonly #path: string;
  readonly #command: string;
  readonly #reporter: Pick<Reporter, 'warn'>;
  #announced = false;

  private constructor(copy: RegisteredCopy, path: string, context: OwnerContext) {
    this.#copy = copy;
    this.#path = path;
    this.#command = context.command;
    this.#reporter = context.reporter;
  }

  static async find(
    device: FileDevice,
    context: OwnerContext,
    directory = registryDirectory(),
  ): Promise<CopyOwner> {
    return new CopyOwner(await RegisteredCopy.find(device, directory), device.path, context);
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
      return;
    }
    const stranger = strangerIn(entry, record, directory);
    if (stranger === undefined) return;
    const message = `${this.#path}: ${stranger}`;
    if (!force) throw new LvmsyncError('destinationUnfit', message, STRANGER);
    this.#reporter.warn(message);
  }

  /** What the record of a chain has to say before `announce`, so that no crash makes the two contradict each other. */
  newWriter(): RecordWriter {
    return { run: randomBytes(16).toString('hex'), before: this.#copy.entry?.run ?? null };
  }

  /** Before a run of a chain changes the destination, and after its record said so. */
  announce({ run }: RecordWriter, directory: string): void {
    this.#write({ run, chain: realpathSync(directory), undo: null, former: null });
  }

  /** Before a run that begins a chain, or is of none. `undoes`: what it applies. */
  warnOfChain(directory?: string, undoes?: Hello): void {
    const { entry, unreadable } = this.#copy;
    if (unreadable !== undefined && directory === undefined) {
      this.#reporter.warn(
        `${this.#path}: its entry in the registry of copies ${unreadable}: if it is the copy of a chain, the next turn or rollback there is refused when this run has written to it`,
      );
    }
    if (entry === undefined || entry.chain === null || this.#isUndoneBy(undoes)) return;
    if (directory !== undefined && isSameDirectory(entry.chain, directory)) return;
    this.#reporter.warn(
      `${this.#path} is the copy of the chain in ${entry.chain}: when this run has written to it, the next turn or rollback there is refused`,
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
    if (entry === undefined && unreadable === undefined) return;
    if ((set !== undefined && entry?.run === set) || this.#isUndoneBy(undoes)) return;
    const run = set ?? randomBytes(16).toString('hex');
    const former = entry === undefined || entry.chain === null ? null : entry;
    this.#write({ run, chain: null, undo: set === undefined ? undo : null, former });
  }

  /** After the whole of a snapback was applied: if it undid exactly what wrote last, a chain may go on. */
  settle(undoes: Hello): void {
    if (this.#isUndoneBy(undoes)) this.#attempt(() => this.#copy.restore());
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

type OwnerContext = Pick<RunContext, 'command'> & { readonly reporter: Pick<Reporter, 'warn'> };

export interface OtherRun {
  /** Stream id, in hexadecimal, of the snapback that it keeps. */
  readonly undo: string | null;
  readonly set?: string | undefined;
  readonly undoes?: Hello | undefined;
}

const STRANGER: ErrorContext = {
  state: 'Nothing was written.',
  hint: 'Undo that run with its snapback, if it kept one. Or, if the snapshot that the chain says the copy holds is still there, make the copy equal to it ("lvmsync verify --full --repair --data-source /dev/VG/SNAPSHOT VG/SNAPSHOT COPY"), then use --force once. Or begin anew with --init --force.',
};

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

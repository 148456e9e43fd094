/**
 * The receiver's part in a turn of a chain: refuses what does not follow the point of the destination, records
 * the beginning before the first byte is written, and the new point after the last one is durable.
 */

import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import type { FileDevice } from '../device/block-device.js';
import { writeMark } from '../device/write-mark.js';
import type { RunLock } from '../host/run-lock.js';
import type { Snapback } from '../pipeline/snapback.js';
import type { Saved } from '../pipeline/snapback-file.js';
import type { Reporter } from '../run/reporter.js';
import type { HelloAttributes } from '../stream/control-frame.js';
import { noteAttempt } from './attempt.js';
import type { CopyOwner } from './copy-owner.js';
import { leftAt, placesOnly } from './copy-verdict.js';
import {
  checkChainFree,
  describeDestination,
  lockChain,
  makeChainDirectory,
  unusable,
} from './directory.js';
import { leftoverAfter } from './leftover.js';
import { linkName, readLinks } from './link.js';
import { orderChain } from './order.js';
import { NONE_PRUNED, type Pruned, prune } from './prune.js';
import {
  type ChainDestination,
  type ChainRecord,
  type PendingStep,
  readRecord,
  writeRecord,
} from './record.js';
import type { ChainRequest } from './request.js';
import { readSaved, type SavedQuestion } from './saved.js';
import { mixedPlaces, readSpots } from './spot-check.js';
import { isMend, type Step, whyNot } from './step.js';
import { type Doubts, findDoubts, inexactAfter, markOf } from './turn-doubts.js';

export interface TurnFacts {
  readonly step: Step;
  /** LVM's uuid of the volume that is copied. */
  readonly source: string | undefined;
  /** What a copy of it may begin with, see head-kind. */
  readonly headKinds: readonly string[];
  readonly device: FileDevice;
  readonly owner: CopyOwner;
  readonly reporter: Pick<Reporter, 'warn'>;
  readonly force: boolean;
}

interface Found {
  readonly lock: Pick<RunLock, 'release'>;
  readonly former: ChainRecord | undefined;
  readonly destination: ChainDestination;
  readonly source: string | undefined;
  readonly headKinds: readonly string[];
  readonly owner: CopyOwner;
  readonly doubts: Doubts;
}

/** One turn of one chain, which it keeps locked until close. */
export class ChainTurn {
  readonly #request: ChainRequest;
  readonly #step: Step;
  readonly #lock: Pick<RunLock, 'release'>;
  readonly #former: ChainRecord | undefined;
  readonly #destination: ChainDestination;
  readonly #source: string | undefined;
  readonly #headKinds: readonly string[];
  readonly #owner: CopyOwner;
  readonly #doubts: Doubts;
  #record: ChainRecord | undefined;

  private constructor(request: ChainRequest, step: Step, found: Found) {
    this.#request = request;
    this.#step = step;
    this.#lock = found.lock;
    this.#former = found.former;
    this.#destination = found.destination;
    this.#source = found.source;
    this.#headKinds = found.headKinds;
    this.#owner = found.owner;
    this.#doubts = found.doubts;
  }

  /**
   * Writes nothing but the directory of a chain that begins. Throws (destinationUnfit) if the stream or
   * the device does not belong to the chain, (locked) if another run changes it.
   */
  static async open(
    request: ChainRequest,
    { command, ...about }: TurnFacts & { readonly command: string },
  ): Promise<ChainTurn> {
    const { directory, init } = request;
    if (init) makeChainDirectory(directory);
    // Said before there is a directory to lock.
    else requireStep(request, about, readRecord(directory));
    const lock = await lockChain(directory, command);
    try {
      return await ChainTurn.#described(request, about, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** The same without the lock, to be asked what it would do: begin must not be called. */
  static async look(request: ChainRequest, about: TurnFacts): Promise<ChainTurn> {
    const { directory, init } = request;
    const isNew = init && !existsSync(directory);
    if (isNew) {
      requireRoomToBegin(directory);
      return ChainTurn.#described(request, about, { release: () => undefined });
    }
    if (!init) requireStep(request, about, readRecord(directory));
    return ChainTurn.#described(request, about, checkChainFree(directory));
  }

  static async #described(
    request: ChainRequest,
    about: TurnFacts,
    lock: Pick<RunLock, 'release'>,
  ): Promise<ChainTurn> {
    const { directory, init } = request;
    const record = readRecord(directory);
    requireStep(request, about, record);
    const destination = await describeDestination(about.device);
    const { owner, device, step, source, headKinds } = about;
    const question = { ...about, record, directory, init, destination, path: device.path };
    const doubts = await findDoubts(question);
    const facts = { destination, source, headKinds, owner, doubts };
    const found = { lock, former: record, ...facts };
    return new ChainTurn(request, step, found);
  }

  /** The file that what is overwritten goes to; undefined for a full copy, which keeps nothing. */
  snapbackPath(): string | undefined {
    if (this.#step.from === undefined) return undefined;
    const { directory } = this.#request;
    for (let attempt = 1; ; attempt++) {
      const name = this.#isMend ? asideName(attempt) : linkName(this.#step.to, attempt);
      const path = join(directory, name);
      if (!existsSync(path)) return path;
    }
  }

  /** The description that the file has of itself. */
  get linkAttributes(): HelloAttributes {
    if (this.#isMend) return {};
    const { from, to } = this.#step;
    const comparison = markOf(this.#step, this.#doubts, this.#former?.inexact);
    const previousLink = this.#former?.last ?? undefined;
    return {
      toPoint: to.uuid,
      toTime: to.time,
      ...(from && { fromPoint: from.uuid, fromTime: from.time }),
      ...(previousLink !== undefined && { previousLink }),
      ...(comparison !== undefined && { comparison }),
    };
  }

  get #isMend(): boolean {
    return isMend(this.#step);
  }

  /** The data that attempts of this turn have saved; undefined where there were none. */
  async savedBefore(about: Omit<SavedQuestion, 'destination'>): Promise<Saved | undefined> {
    const former = this.#former;
    if (former?.doing?.what !== 'turn' || this.#step.from === undefined) return undefined;
    // What something else wrote is kept, too: this link then saves all that it overwrites.
    if (this.#isMend || this.#doubts.wasWritten) return undefined;
    const { links } = await readLinks(this.#request.directory);
    const { attempts } = orderChain(former, links);
    return readSaved(attempts, { ...about, destination: this.#destination });
  }

  /** To be called before the destination is changed; may be called again. Durable when it returns. */
  begin(snapback: Snapback | undefined): void {
    if (this.#record !== undefined) return;
    // The record names it; what a mend overwrites has no other name than its own.
    if (!this.#isMend) snapback?.keep();
    const { from } = this.#step;
    const kept = from === undefined ? NOTHING : (this.#former ?? NOTHING);
    const { point, pruned } = kept;
    const doing = this.#doing();
    const last = this.#isMend ? (this.#former?.last ?? null) : (snapback?.streamId ?? null);
    const destination = this.#begunOn();
    const writer = this.#owner.newWriter();
    const leftover = this.#former && leftoverAfter(this.#former, from === undefined);
    const next = { version: 1, destination, point, last, pruned, doing, undone: null } as const;
    const left = placesOnly(this.#former?.left);
    const source = this.#source;
    const headKinds = from === undefined ? this.#headKinds : this.#former?.headKinds;
    const inexact = from && this.#former?.inexact;
    const more = {
      ...(leftover && { leftover }),
      ...(inexact && { inexact }),
      ...(source && { source }),
      ...(headKinds?.length && { headKinds }),
    };
    this.#write({ ...next, ...more, writer, ...(left && { left }) });
    this.#owner.announce(writer, this.#request.directory);
  }

  #doing(): PendingStep {
    const { from, to } = this.#step;
    if (from === undefined) return { what: 'init', to };
    const { wasWritten, force } = this.#doubts;
    return this.#isMend ? { what: 'mend', to, foreign: wasWritten || force } : { what: 'turn', to };
  }

  /** A file that an attempt made longer gets its former size from a mend. */
  #begunOn(): ChainDestination {
    const { size = 0 } = this.#former?.destination ?? {};
    const isLonger = this.#destination.identity === null && this.#destination.size > size;
    return this.#isMend && isLonger ? { ...this.#destination, size } : this.#destination;
  }

  /**
   * To be called when everything is durable: from now on the destination holds the new point. `places`: some of
   * those that were written.
   */
  async commit(device: FileDevice, places: readonly number[]): Promise<void> {
    if (this.#record === undefined) throw new Error('a turn ends that has not begun');
    if (this.#isMend && device.size > this.#record.destination.size) {
      await device.resize(this.#record.destination.size);
      await device.sync();
    }
    const destination = await describeDestination(device);
    const spots = await readSpots(device, mixedPlaces(places, this.#former?.left));
    const mark = writeMark(device);
    const last = this.#isMend ? await this.#lastWhole(this.#record) : this.#record.last;
    const { to } = this.#step;
    const inexact = inexactAfter(this.#step, this.#doubts, this.#record.inexact);
    const done = { ...this.#record, destination, point: to, last, doing: null, inexact };
    this.#write({ ...done, left: leftAt(done, { mark, spots }) });
    this.#owner.leave(mark);
  }

  /** The newest link of a turn that was completed: the copy holds nothing of the attempts after it any more. */
  async #lastWhole(record: ChainRecord): Promise<string | null> {
    const { links } = await readLinks(this.#request.directory);
    const oldest = orderChain(record, links).attempts.at(-1);
    return oldest === undefined ? record.last : (oldest.previous ?? null);
  }

  /** To be called in place of commit after a failure, when nothing is written any more. Throws nothing. */
  async interrupt(device: FileDevice, places: readonly number[]): Promise<void> {
    const record = this.#record;
    if (record?.doing?.what !== 'turn' && record?.doing?.what !== 'mend') return;
    const { directory } = this.#request;
    this.#owner.noteLeft(await noteAttempt({ directory, record }, device, places));
  }

  /** After commit: removes what no `--keep` rule keeps any more. `now`: milliseconds since 1970. */
  async prune(now: number): Promise<Pruned> {
    if (this.#record === undefined) return NONE_PRUNED;
    const write = (record: ChainRecord): void => this.#write(record);
    return prune({ ...this.#request, former: this.#former, write }, this.#record, now);
  }

  #write(record: ChainRecord): void {
    writeRecord(this.#request.directory, record);
    this.#record = record;
  }

  close(): void {
    this.#lock.release();
  }
}

function requireRoomToBegin(directory: string): void {
  try {
    accessSync(dirname(resolve(directory)), constants.W_OK);
  } catch (cause) {
    throw unusable(directory, cause);
  }
}

function requireStep(
  { directory, init }: ChainRequest,
  { step, device, force }: TurnFacts,
  record: ChainRecord | undefined,
): void {
  const refusal = whyNot({ step, record, init, force });
  if (refusal === undefined) return;
  const { what, rollback } = refusal;
  const place = [device.path, directory].map((path) => typedPath(path, undefined)).join(' ');
  const command = rollback === undefined ? '' : ` lvmsync rollback ${rollback} ${place}`;
  const hint = refusal.hint && refusal.hint + command;
  throw new LvmsyncError('destinationUnfit', what, { ...UNTOUCHED, ...(hint && { hint }) });
}

/** Of what a mend overwrote: no link of the chain. */
function asideName(attempt: number): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  return `overwritten-${time}Z${attempt === 1 ? '' : `.${attempt}`}.snapback`;
}

/** The leftover of the chain before a full copy. */
const NOTHING = { point: null, pruned: null };

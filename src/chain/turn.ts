/**
 * The receiver's part in a turn of a chain: refuses what does not follow the point of the destination, records
 * the beginning before the first byte is written, and the new point after the last one is durable.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FileDevice } from '../device/block-device.js';
import { writeMark } from '../device/write-mark.js';
import type { RunLock } from '../host/run-lock.js';
import type { Snapback } from '../pipeline/snapback.js';
import type { Saved } from '../pipeline/snapback-file.js';
import type { HelloAttributes } from '../stream/control-frame.js';
import { noteAttempt } from './attempt.js';
import type { CopyOwner } from './copy-owner.js';
import { leftAt, placesOnly } from './copy-verdict.js';
import { checkChainFree, describeDestination, lockChain, makeChainDirectory } from './directory.js';
import type { ChainRequest } from './keep.js';
import { leftoverAfter } from './leftover.js';
import { asideName, linkName, readLinks } from './link.js';
import { orderChain } from './order.js';
import { NONE_PRUNED, type Pruned, prune } from './prune.js';
import {
  type ChainDestination,
  type ChainRecord,
  type PendingStep,
  readRecord,
  writeRecord,
} from './record.js';
import { readSaved, type SavedQuestion } from './saved.js';
import { mixedPlaces, readSpots } from './spot-check.js';
import { isMend, type Step } from './step.js';
import {
  type CheckedTurn,
  checkTurn,
  requireRoomToBegin,
  requireStep,
  type TurnFacts,
} from './turn-checks.js';
import { type Doubts, inexactAfter, markOf } from './turn-doubts.js';
import { isOver, isWhole, type SharedRecord, TurnPart } from './turn-parts.js';

/** One turn of one chain, which it keeps locked until close. */
export class ChainTurn {
  readonly #request: ChainRequest;
  readonly #step: Step;
  readonly #lock: Pick<RunLock, 'release'>;
  readonly #former: ChainRecord | undefined;
  readonly #destination: ChainDestination;
  readonly #ofSource: Pick<CheckedTurn, 'source' | 'headKinds'>;
  readonly #owner: CopyOwner;
  readonly #doubts: Doubts;
  readonly #part: TurnPart | undefined;
  #record: ChainRecord | undefined;

  private constructor(request: ChainRequest, checked: CheckedTurn, lock: Pick<RunLock, 'release'>) {
    this.#request = request;
    this.#lock = lock;
    this.#step = checked.step;
    this.#former = checked.former;
    this.#destination = checked.destination;
    this.#ofSource = checked;
    this.#owner = checked.owner;
    this.#doubts = checked.doubts;
    this.#part = checked.place && new TurnPart(request.directory, checked.place);
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
    const part = about.place && new TurnPart(directory, about.place);
    const lock = await lockChain(directory, command, part?.parts.set);
    try {
      return new ChainTurn(request, await checkTurn(request, about), lock);
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
      return new ChainTurn(request, await checkTurn(request, about), { release: () => undefined });
    }
    if (!init) requireStep(request, about, readRecord(directory));
    const lock = checkChainFree(directory);
    return new ChainTurn(request, await checkTurn(request, about), lock);
  }

  /** The file that what is overwritten goes to; undefined for a full copy, which keeps nothing. */
  snapbackPath(): string | undefined {
    if (this.#step.from === undefined) return undefined;
    const { directory } = this.#request;
    for (let attempt = 1; ; attempt++) {
      const name = this.#isMend
        ? asideName(attempt)
        : linkName(this.#step.to, attempt, this.#part?.place);
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
    const place = this.#part?.place;
    return readSaved(attempts, { ...about, place, destination: this.#destination });
  }

  /** To be called before the destination is changed; may be called again. Durable when it resolves. */
  async begin(snapback: Snapback | undefined): Promise<void> {
    if (this.#record !== undefined) return;
    const part = this.#part;
    if (part === undefined) return this.#beginFirst(snapback);
    await part.alone(async () => {
      const shared = part.read();
      if (shared === undefined) this.#beginFirst(snapback);
      else await this.#join(shared, snapback);
    });
  }

  #beginFirst(snapback: Snapback | undefined): void {
    // The record names it; what a mend overwrites has no other name than its own.
    if (!this.#isMend) snapback?.keep();
    const { from } = this.#step;
    const { point, pruned } = from === undefined ? NOTHING : (this.#former ?? NOTHING);
    const doing = this.#doing();
    const last = this.#isMend ? (this.#former?.last ?? null) : (snapback?.streamId ?? null);
    const destination = this.#destination;
    const writer = this.#owner.newWriter();
    const leftover = this.#former && leftoverAfter(this.#former, from === undefined);
    const next = { version: 1, destination, point, last, pruned, doing, undone: null } as const;
    const left = placesOnly(this.#former?.left);
    const { source } = this.#ofSource;
    // Of a full copy that was cut off the copy may hold the beginning still.
    const begun = from === undefined ? this.#ofSource.headKinds : [];
    const kinds = new Set([...(this.#former?.headKinds ?? []), ...begun]);
    const inexact = from && this.#former?.inexact;
    const more = {
      ...(leftover && { leftover }),
      ...(inexact && { inexact }),
      ...(source && { source }),
      ...(kinds.size > 0 && { headKinds: [...kinds] }),
    };
    this.#write({ ...next, ...more, writer, ...(left && { left }) });
    this.#owner.announce(writer, this.#request.directory);
  }

  #doing(): PendingStep {
    const { from, to } = this.#step;
    const parts = this.#part && { parts: this.#part.parts };
    if (from === undefined) return { what: 'init', to, ...parts };
    const { wasWritten, force } = this.#doubts;
    return this.#isMend
      ? { what: 'mend', to, foreign: wasWritten || force }
      : { what: 'turn', to, ...parts };
  }

  /** Another stream of this run began before. The link is not named by anything yet, and holds nothing. */
  async #join(shared: SharedRecord, snapback: Snapback | undefined): Promise<void> {
    const { last, writer } = shared;
    if (snapback !== undefined) {
      await snapback.renew(last === null ? {} : { previousLink: last });
      snapback.keep();
    }
    this.#write({ ...shared, last: snapback?.streamId ?? last });
    // Whoever began may have been killed before that.
    if (writer !== undefined) this.#owner.announce(writer, this.#request.directory);
  }

  /**
   * To be called when everything is durable: from now on the destination holds the new point, with several streams
   * when this is the last of them. `places`: some of those that were written.
   */
  async commit(device: FileDevice, places: readonly number[]): Promise<void> {
    if (this.#record === undefined) throw new Error('a turn ends that has not begun');
    const part = this.#part;
    if (part === undefined) return this.#complete(this.#record, device, places);
    await part.alone(async () => {
      const shared = part.require();
      const ended = part.after(shared, 'ended', places);
      if (isWhole(ended)) return this.#complete(ended, device, ended.doing.parts.places);
      this.#write(ended);
      if (isOver(ended)) await this.#noteAttempt(ended, device);
      // Another one completes the turn, and clears up.
      this.#record = undefined;
    });
  }

  async #complete(
    begun: ChainRecord,
    device: FileDevice,
    places: readonly number[],
  ): Promise<void> {
    if (this.#isMend && device.size > begun.destination.size) {
      await device.resize(begun.destination.size);
      await device.sync();
    }
    const destination = await describeDestination(device);
    const spots = await readSpots(device, mixedPlaces(places, this.#former?.left));
    const mark = writeMark(device);
    const last = this.#isMend ? await this.#lastWhole(begun) : begun.last;
    const { to } = this.#step;
    const inexact = inexactAfter(this.#step, this.#doubts, begun.inexact);
    const done = { ...begun, destination, point: to, last, doing: null, inexact };
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
    const part = this.#part;
    if (part !== undefined) {
      // A failure to note it is as if the receiver had been killed.
      await this.#interruptPart(part, device, places).catch(() => undefined);
      return;
    }
    const record = this.#record;
    if (record?.doing?.what !== 'turn' && record?.doing?.what !== 'mend') return;
    const { directory } = this.#request;
    this.#owner.noteLeft(await noteAttempt({ directory, record }, device, places));
  }

  /** As long as one of the others may write, nobody knows how the destination is left. */
  async #interruptPart(
    part: TurnPart,
    device: FileDevice,
    places: readonly number[],
  ): Promise<void> {
    await part.alone(async () => {
      const shared = part.read();
      if (shared === undefined) return;
      const failed = part.after(shared, 'failed', places);
      writeRecord(this.#request.directory, failed);
      if (isOver(failed)) await this.#noteAttempt(failed, device);
    });
  }

  async #noteAttempt(record: SharedRecord, device: FileDevice): Promise<void> {
    if (record.doing.what !== 'turn') return;
    const { directory } = this.#request;
    const mark = await noteAttempt({ directory, record }, device, record.doing.parts.places);
    // One that never began has not read its own entry in the registry.
    if (this.#record !== undefined) this.#owner.noteLeft(mark);
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

/** The leftover of the chain before a full copy. */
const NOTHING = { point: null, pruned: null };

/**
 * The receiver's part in a turn of a chain: refuses what does not follow the point of the destination, records
 * the beginning before the first byte is written, and the new point after the last one is durable.
 */

import { accessSync, constants, existsSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import type { FileDevice } from '../device/block-device.js';
import { writeMark } from '../device/write-mark.js';
import { syncDirectory } from '../host/durable-file.js';
import type { RunLock } from '../host/run-lock.js';
import type { Snapback } from '../pipeline/snapback.js';
import type { Saved } from '../pipeline/snapback-file.js';
import { checkUnlessForced } from '../run/forced.js';
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
  refuseMismatch,
  unusable,
} from './directory.js';
import { isAheadOf, turnsToPrune } from './keep.js';
import { findLeftover, type LeftoverFiles, leftoverAfter, removeLeftover } from './leftover.js';
import { type Link, linkName, readLinks } from './link.js';
import { orderChain, walkBack } from './order.js';
import { refuseOtherChain } from './other-chain.js';
import {
  type ChainDestination,
  type ChainRecord,
  type Leftover,
  type Point,
  readRecord,
  writeRecord,
} from './record.js';
import type { ChainRequest } from './request.js';
import { readSaved, type SavedQuestion } from './saved.js';
import { mixedPlaces, readSpots } from './spot-check.js';
import { type Step, whyNot } from './step.js';

export interface TurnFacts {
  readonly step: Step;
  readonly device: FileDevice;
  readonly owner: CopyOwner;
  readonly reporter: Pick<Reporter, 'warn'>;
  readonly force: boolean;
}

/** The fate of the oldest links. */
export interface Pruned {
  /** Files. */
  readonly removed: number;
  /** The new point, if it is of a time to come, so that nothing was removed for its age. */
  readonly ahead: Point | undefined;
  /** Leftover files that no rule was given to remove. */
  readonly leftover: LeftoverFiles | undefined;
}

const NONE_PRUNED: Pruned = { removed: 0, ahead: undefined, leftover: undefined };

interface Found {
  readonly lock: Pick<RunLock, 'release'>;
  readonly former: ChainRecord | undefined;
  readonly destination: ChainDestination;
  readonly owner: CopyOwner;
}

/** One turn of one chain, which it keeps locked until close. */
export class ChainTurn {
  readonly #request: ChainRequest;
  readonly #step: Step;
  readonly #lock: Pick<RunLock, 'release'>;
  readonly #former: ChainRecord | undefined;
  readonly #destination: ChainDestination;
  readonly #owner: CopyOwner;
  #record: ChainRecord | undefined;

  private constructor(request: ChainRequest, step: Step, found: Found) {
    this.#request = request;
    this.#step = step;
    this.#lock = found.lock;
    this.#former = found.former;
    this.#destination = found.destination;
    this.#owner = found.owner;
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
    const { owner, force } = about;
    if (record !== undefined && !init) {
      await checkUnlessForced(about, () => refuseMismatch(record, destination));
      await owner.requireOwn(record, directory, { force });
    } else {
      if (!force) refuseOtherChain({ entry: owner.entry, path: about.device.path }, directory);
      owner.warnOfChain(directory);
    }
    return new ChainTurn(request, about.step, { lock, former: record, destination, owner });
  }

  /** The file that what is overwritten goes to; undefined for a full copy, which keeps nothing. */
  snapbackPath(): string | undefined {
    if (this.#step.from === undefined) return undefined;
    const { directory } = this.#request;
    for (let attempt = 1; ; attempt++) {
      const path = join(directory, linkName(this.#step.to, attempt));
      if (!existsSync(path)) return path;
    }
  }

  /** The description that the file has of itself. */
  get linkAttributes(): HelloAttributes {
    const { from, to } = this.#step;
    const previousLink = this.#former?.last ?? undefined;
    return {
      toPoint: to.uuid,
      toTime: to.time,
      ...(from && { fromPoint: from.uuid, fromTime: from.time }),
      ...(previousLink !== undefined && { previousLink }),
    };
  }

  /** The data that attempts of this turn have saved; undefined where there were none. */
  async savedBefore(about: Omit<SavedQuestion, 'destination'>): Promise<Saved | undefined> {
    const former = this.#former;
    if (former?.doing?.what !== 'turn' || this.#step.from === undefined) return undefined;
    const { links } = await readLinks(this.#request.directory);
    const { attempts } = orderChain(former, links);
    return readSaved(attempts, { ...about, destination: this.#destination });
  }

  /** To be called before the destination is changed; may be called again. Durable when it returns. */
  begin(snapback: Snapback | undefined): void {
    if (this.#record !== undefined) return;
    snapback?.keep();
    const { from, to } = this.#step;
    const kept = from === undefined ? NOTHING : (this.#former ?? NOTHING);
    const { point, pruned } = kept;
    const doing = { what: from === undefined ? 'init' : 'turn', to } as const;
    const last = snapback?.streamId ?? null;
    const destination = this.#destination;
    const writer = this.#owner.newWriter();
    const leftover = this.#former && leftoverAfter(this.#former, from === undefined);
    const next = { version: 1, destination, point, last, pruned, doing, undone: null } as const;
    const left = placesOnly(this.#former?.left);
    this.#write({ ...next, ...(leftover && { leftover }), writer, ...(left && { left }) });
    this.#owner.announce(writer, this.#request.directory);
  }

  /**
   * To be called when everything is durable: from now on the destination holds the new point. `places`: some of
   * those that were written.
   */
  async commit(device: FileDevice, places: readonly number[]): Promise<void> {
    if (this.#record === undefined) throw new Error('a turn ends that has not begun');
    const destination = await describeDestination(device);
    const spots = await readSpots(device, mixedPlaces(places, this.#former?.left));
    const mark = writeMark(device);
    const done = { ...this.#record, destination, point: this.#step.to, doing: null };
    this.#write({ ...done, left: leftAt(done, { mark, spots }) });
    this.#owner.leave(mark);
  }

  /** To be called in place of commit after a failure, when nothing is written any more. Throws nothing. */
  async interrupt(device: FileDevice, places: readonly number[]): Promise<void> {
    const record = this.#record;
    if (record?.doing?.what !== 'turn') return;
    const { directory } = this.#request;
    this.#owner.noteLeft(await noteAttempt({ directory, record }, device, places));
  }

  /**
   * Removes what no rule keeps any more, after commit. First the record says where the chain begins, so
   * that no link is missing where one is gone. `now`: milliseconds since 1970.
   */
  async prune(now: number): Promise<Pruned> {
    const record = this.#record;
    const { directory, keep } = this.#request;
    if (record === undefined || record.point === null) return NONE_PRUNED;
    if (keep.length === 0) return { ...NONE_PRUNED, leftover: await this.#newLeftover(record) };
    const { point } = record;
    const { links } = await readLinks(directory);
    const { turns } = orderChain(record, links);
    const newest = turnsToPrune(keep, { point, turns, now })[0]?.links[0];
    const pruned = newest?.streamId ?? record.pruned;
    if (pruned !== record.pruned) this.#write({ ...record, pruned });
    // A former run may have ended in the middle of this.
    const { walked } = walkBack({ from: pruned, before: null }, links);
    const hasAge = keep.some((rule) => 'seconds' in rule);
    const ahead = hasAge && isAheadOf(now, point) ? point : undefined;
    const removed = removeLinks(directory, walked) + (await this.#clearLeftover());
    return { removed, ahead, leftover: undefined };
  }

  /** Undefined where this turn added nothing to what was there. */
  async #newLeftover(record: ChainRecord): Promise<LeftoverFiles | undefined> {
    const count = (leftover: Leftover | undefined): number =>
      (leftover?.links.length ?? 0) + (leftover?.undone.length ?? 0);
    if (count(record.leftover) === count(this.#former?.leftover)) return undefined;
    return findLeftover(this.#request.directory, record);
  }

  /** Resolves with the number of files. */
  async #clearLeftover(): Promise<number> {
    if (this.#record?.leftover === undefined) return 0;
    const { directory } = this.#request;
    const { leftover, ...rest } = this.#record;
    const found = await findLeftover(directory, { ...rest, leftover });
    removeLeftover(directory, found);
    this.#write(rest);
    return found.files.length;
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

/** The leftover of the chain before a full copy. */
const NOTHING = { point: null, pruned: null };

/** Oldest first: what a crash leaves is still linked to what was to be removed with it. */
function removeLinks(directory: string, links: readonly Link[]): number {
  for (const { path } of [...links].reverse()) rmSync(path, { force: true });
  if (links.length > 0) syncDirectory(directory);
  return links.length;
}

/**
 * The mappings of one device out of what thin_dump prints, found as the bytes arrive: never a tree,
 * never a range expanded, and never a list that could be partial. Understands thin_dump 0.9 and 1.x,
 * which names stretches that devices share: `<def name="1">`, and `<ref name="1"/>` where they belong.
 */

import type { CommandStream } from '../../host/subprocess.js';
import { isMapping, MappingRuns } from './mapping-runs.js';
import { isDef, isRef, SharedMappings } from './shared-mappings.js';
import {
  LARGEST_DEVICE_ID,
  MOST_BLOCKS,
  readSuperblock,
  SUPERBLOCK,
  type ThinSuperblock,
} from './superblock.js';
import { xmlName } from './xml-bytes.js';
import { XmlTags } from './xml-tags.js';

/** Some of a device's mappings, in ascending order. */
export interface RunBatch {
  readonly superblock: ThinSuperblock;
  /** Triples: first block of the device, first data block of the pool, number of blocks. */
  readonly runs: Float64Array;
}

export interface ThinDumpLimits {
  /** Mappings in a batch. */
  readonly batchRuns: number;
  /**
   * Mappings kept, 24 bytes each: of all `<def>`, and of the device behind a `<ref>` whose `<def>` comes
   * later.
   */
  readonly sharedRuns: number;
}

const LIMITS: ThinDumpLimits = { batchRuns: 4096, sharedRuns: 2 ** 21 };

const DEVICE = xmlName('device');
const DEVICE_ID = xmlName('dev_id');
const MAPPED_BLOCKS = xmlName('mapped_blocks');

/**
 * The mappings of device `deviceId`, the last batch (which may be empty) only when the dump has
 * proved whole: thin_dump ended well, `</superblock>` was seen, the device's mappings ascend and add
 * up to its `mapped_blocks`. Throws LvmsyncError (pool) otherwise. Stopping the tool is the caller's.
 */
export async function* readThinDump(
  dump: Pick<CommandStream, 'stdout' | 'ended'>,
  deviceId: number,
): AsyncGenerator<RunBatch, void> {
  const scanner = new ThinDumpScanner(deviceId);
  for await (const bytes of dump.stdout) yield* scanner.push(bytes);
  await dump.ended;
  yield* scanner.end();
}

type Place = 'start' | 'superblock' | 'def' | 'device' | 'remainder' | 'otherDevice' | 'end';

/** The same from bytes that are pushed, however they are cut. */
export class ThinDumpScanner {
  readonly #deviceId: number;
  readonly #batchRuns: number;
  readonly #tags = new XmlTags('thin_dump');
  readonly #mappings = new MappingRuns(this.#tags);
  readonly #shared: SharedMappings;
  #place: Place = 'start';
  #superblock: ThinSuperblock | undefined;
  /** The count of the wanted device; undefined until it begins. */
  #mappedBlocks: number | undefined;

  constructor(deviceId: number, limits: Partial<ThinDumpLimits> = {}) {
    const { batchRuns, sharedRuns } = { ...LIMITS, ...limits };
    this.#deviceId = deviceId;
    this.#batchRuns = batchRuns;
    this.#shared = new SharedMappings(this.#tags, sharedRuns);
  }

  /** Yields what is a full batch now. Must be run to its end before the next call. */
  *push(bytes: Uint8Array): Generator<RunBatch, void> {
    const tags = this.#tags;
    tags.push(bytes);
    while (tags.next()) {
      const shared = this.#takeTag();
      if (shared !== undefined) yield* this.#expand(shared);
      if (this.#place === 'device') this.#mappings.appendLines(this.#batchRuns);
      if (this.#mappings.count >= this.#batchRuns) yield this.#takeBatch();
    }
  }

  /** Yields the rest, an empty batch too. */
  *end(): Generator<RunBatch, void> {
    if (this.#place !== 'end' || this.#tags.bytesLeft > 0) {
      throw this.#tags.refuse('it ends too early');
    }
    if (this.#mappedBlocks === undefined) {
      throw this.#tags.refuse(`device ${this.#deviceId} is not in it`);
    }
    this.#checkMappedBlocks();
    yield this.#takeBatch();
  }

  /** Handles the tag found last; returns the mappings of the wanted device that it stands for. */
  #takeTag(): Float64Array | undefined {
    switch (this.#place) {
      case 'device':
        return this.#takeInDevice();
      case 'remainder':
        return this.#takeInRemainder();
      case 'otherDevice':
        return this.#takeInOtherDevice();
      case 'def':
        return this.#takeInDef();
      case 'superblock':
        return this.#takeInSuperblock();
      case 'start':
        return this.#takeFirst();
      case 'end':
        throw this.#unexpected();
    }
  }

  #takeFirst(): undefined {
    const tags = this.#tags;
    if (tags.kind !== 'open' || !tags.isNamed(SUPERBLOCK)) throw this.#unexpected();
    this.#superblock = readSuperblock(tags);
    this.#place = 'superblock';
  }

  #takeInSuperblock(): Float64Array | undefined {
    const tags = this.#tags;
    if (tags.kind === 'close') {
      this.#leave(SUPERBLOCK);
      this.#place = 'end';
      return this.#shared.finish();
    }
    if (tags.isNamed(DEVICE)) {
      this.#beginDevice();
    } else if (isDef(tags)) {
      this.#shared.begin();
      if (tags.kind === 'open') this.#place = 'def';
      else this.#shared.end();
    } else {
      throw this.#unexpected();
    }
    return undefined;
  }

  #beginDevice(): void {
    const tags = this.#tags;
    const isWanted = tags.number(DEVICE_ID, LARGEST_DEVICE_ID) === this.#deviceId;
    if (isWanted) {
      if (this.#mappedBlocks !== undefined) {
        throw tags.refuse(`device ${this.#deviceId} is in it twice`);
      }
      this.#mappedBlocks = tags.number(MAPPED_BLOCKS, MOST_BLOCKS);
    }
    if (tags.kind === 'open') this.#place = isWanted ? 'device' : 'otherDevice';
  }

  #takeInDevice(): Float64Array | undefined {
    if (this.#tags.kind !== 'empty') {
      this.#leave(DEVICE);
    } else if (!this.#mappings.appendTag()) {
      if (!isRef(this.#tags)) throw this.#unexpected();
      const runs = this.#shared.referredTo();
      if (runs !== undefined) return runs;
      this.#shared.beginRemainder();
      this.#place = 'remainder';
      return this.#takeInRemainder();
    }
    return undefined;
  }

  /** The mappings of the wanted device, behind a `<ref>` whose `<def>` is still to come. */
  #takeInRemainder(): undefined {
    if (this.#tags.kind !== 'empty') {
      this.#leave(DEVICE);
      this.#shared.end();
    } else if (!this.#shared.appendTag()) {
      throw this.#unexpected();
    }
  }

  #takeInOtherDevice(): undefined {
    const tags = this.#tags;
    if (tags.kind !== 'empty') this.#leave(DEVICE);
    else if (!isMapping(tags) && !isRef(tags)) throw this.#unexpected();
  }

  #takeInDef(): undefined {
    if (this.#tags.kind !== 'empty') {
      if (this.#tags.kind !== 'close' || !isDef(this.#tags)) throw this.#unexpected();
      this.#shared.end();
      this.#place = 'superblock';
    } else if (!this.#shared.appendTag()) {
      throw this.#unexpected();
    }
  }

  /** The tag found last must close `name`. */
  #leave(name: Uint8Array): void {
    if (this.#tags.kind !== 'close' || !this.#tags.isNamed(name)) throw this.#unexpected();
    this.#place = 'superblock';
  }

  #checkMappedBlocks(): void {
    const { blocks } = this.#mappings;
    if (blocks === this.#mappedBlocks) return;
    throw this.#tags.refuse(
      `device ${this.#deviceId} should have ${this.#mappedBlocks} mapped blocks, ${blocks} are listed`,
    );
  }

  *#expand(runs: Float64Array): Generator<RunBatch, void> {
    for (let at = 0; at < runs.length; at += 3) {
      this.#mappings.append(runs[at] ?? 0, runs[at + 1] ?? 0, runs[at + 2] ?? 0);
      if (this.#mappings.count >= this.#batchRuns) yield this.#takeBatch();
    }
  }

  #takeBatch(): RunBatch {
    if (this.#superblock === undefined) throw this.#unexpected();
    return { superblock: this.#superblock, runs: this.#mappings.take() };
  }

  #unexpected(): Error {
    return this.#tags.refuse(`<${this.#tags.shownName()}> is not expected there`);
  }
}

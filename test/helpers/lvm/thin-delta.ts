/**
 * What changed between two thin volumes of one pool, as thin_delta sees it. Its output does not say
 * how many blocks each device has mapped, as thin_dump's does: that must be known from elsewhere, and
 * shows what is missing, not what is wrong. Older 1.x versions seem to miss changes: docs/adr/0008.
 */

import type { CommandStream } from '../../../src/host/subprocess.js';
import { BlockExtents } from '../../../src/lvm/thin/block-extents.js';
import type { ThinDifference } from '../../../src/lvm/thin/difference.js';
import {
  LARGEST_DEVICE_ID,
  MOST_BLOCKS,
  readSuperblock,
  SUPERBLOCK,
} from '../../../src/lvm/thin/superblock.js';
import { xmlName } from '../../../src/lvm/thin/xml-bytes.js';
import { XmlTags } from '../../../src/lvm/thin/xml-tags.js';

const NAMES = {
  diff: xmlName('diff'),
  left: xmlName('left'),
  right: xmlName('right'),
  different: xmlName('different'),
  leftOnly: xmlName('left_only'),
  rightOnly: xmlName('right_only'),
  same: xmlName('same'),
  begin: xmlName('begin'),
  length: xmlName('length'),
};

export interface ThinDelta {
  /** `thin_delta -m --snap1 FROM --snap2 TO`. */
  readonly delta: CommandStream;
  readonly from: DeltaDevice;
  readonly to: DeltaDevice;
  /** Bytes of the newer volume. */
  readonly size: number;
}

export interface DeltaDevice {
  readonly deviceId: number;
  /** Known from elsewhere, such as thin_ls: what thin_delta lists must add up to it. */
  readonly mappedBlocks: number;
}

/** Throws LvmsyncError (pool), or what made the tool fail, after stopping the tool. */
export async function readThinDelta(sides: ThinDelta): Promise<ThinDifference> {
  const { delta } = sides;
  try {
    const scanner = new ThinDeltaScanner(sides);
    for await (const bytes of delta.stdout) scanner.push(bytes);
    await delta.ended;
    return scanner.end();
  } catch (error) {
    delta.stop();
    throw error;
  }
}

type Place = 'start' | 'superblock' | 'diff' | 'afterDiff' | 'end';

class ThinDeltaScanner {
  readonly #sides: ThinDelta;
  readonly #tags = new XmlTags('thin_delta');
  #place: Place = 'start';
  #dataBlockSize = 0;
  #changed = new BlockExtents(1, 0);
  #discarded = new BlockExtents(1, 0);
  #end = 0;
  #fromBlocks = 0;
  #toBlocks = 0;

  constructor(sides: ThinDelta) {
    this.#sides = sides;
  }

  push(bytes: Uint8Array): void {
    this.#tags.push(bytes);
    while (this.#tags.next()) this.#takeTag();
  }

  end(): ThinDifference {
    if (this.#place !== 'end' || this.#tags.bytesLeft > 0) {
      throw this.#tags.refuse('it ends too early');
    }
    return {
      changed: this.#changed.finish(),
      discarded: this.#discarded.finish(),
      dataBlockSize: this.#dataBlockSize,
    };
  }

  #takeTag(): void {
    const { kind } = this.#tags;
    if (this.#place === 'diff' && kind === 'empty') this.#takeRange();
    else if (this.#place === 'diff') this.#endDiff();
    else if (this.#place === 'start') this.#beginSuperblock();
    else if (this.#place === 'superblock') this.#beginDiff();
    else this.#endSuperblock();
  }

  #beginSuperblock(): void {
    this.#expect('open', SUPERBLOCK);
    this.#dataBlockSize = readSuperblock(this.#tags).dataBlockSize;
    const { size } = this.#sides;
    this.#changed = new BlockExtents(this.#dataBlockSize, size);
    this.#discarded = new BlockExtents(this.#dataBlockSize, size);
    this.#place = 'superblock';
  }

  #beginDiff(): void {
    const tags = this.#tags;
    if (tags.kind === 'close') throw this.#unexpected();
    this.#expect(tags.kind, NAMES.diff);
    const left = tags.number(NAMES.left, LARGEST_DEVICE_ID);
    const right = tags.number(NAMES.right, LARGEST_DEVICE_ID);
    const { from, to } = this.#sides;
    if (left !== from.deviceId || right !== to.deviceId) {
      throw tags.refuse(`it is about devices ${left} and ${right}`);
    }
    if (tags.kind === 'empty') this.#checkSums();
    this.#place = tags.kind === 'empty' ? 'afterDiff' : 'diff';
  }

  #takeRange(): void {
    const tags = this.#tags;
    const begin = tags.number(NAMES.begin, MOST_BLOCKS);
    const length = tags.number(NAMES.length, MOST_BLOCKS);
    if (length === 0 || begin < this.#end || begin + length > MOST_BLOCKS) {
      throw tags.refuse('ranges overlap, are out of order or too long');
    }
    this.#end = begin + length;
    const isLeft = tags.isNamed(NAMES.leftOnly);
    const isRight = tags.isNamed(NAMES.rightOnly);
    const isDifferent = tags.isNamed(NAMES.different);
    if (!isLeft && !isRight && !isDifferent && !tags.isNamed(NAMES.same)) throw this.#unexpected();
    if (isLeft) this.#discarded.append(begin, length);
    if (isRight || isDifferent) this.#changed.append(begin, length);
    if (!isRight) this.#fromBlocks += length;
    if (!isLeft) this.#toBlocks += length;
  }

  #endDiff(): void {
    this.#expect('close', NAMES.diff);
    this.#checkSums();
    this.#place = 'afterDiff';
  }

  #checkSums(): void {
    const { from, to } = this.#sides;
    if (from.mappedBlocks === this.#fromBlocks && to.mappedBlocks === this.#toBlocks) return;
    throw this.#tags.refuse(
      `devices ${from.deviceId} and ${to.deviceId} should have ${from.mappedBlocks} and ${to.mappedBlocks} mapped blocks, ${this.#fromBlocks} and ${this.#toBlocks} are listed`,
    );
  }

  #endSuperblock(): void {
    if (this.#place !== 'afterDiff') throw this.#unexpected();
    this.#expect('close', SUPERBLOCK);
    this.#place = 'end';
  }

  #expect(kind: string, name: Uint8Array): void {
    if (this.#tags.kind !== kind || !this.#tags.isNamed(name)) throw this.#unexpected();
  }

  #unexpected(): Error {
    return this.#tags.refuse(`<${this.#tags.shownName()}> is not expected there`);
  }
}

/** A thin pool as a handful of maps, to make metadata from and to know what the answer must be. */

import type { Random } from '../random.js';

type Mappings = Map<number, number>;

export interface ExpectedDifference {
  /** Pairs offset, length in bytes, neighbours merged. */
  readonly changed: readonly number[];
  readonly discarded: readonly number[];
}

/** Blocks of every device from here on are never touched by `change`. */
const SHARED_BEGIN = 10_000;

export class ThinPoolModel {
  readonly blockSectors: number;
  readonly #random: Random;
  readonly #devices = new Map<number, Mappings>();
  readonly #users = new Map<number, number>();
  readonly #times = new Map<number, number>();
  readonly #freed: number[] = [];
  #nextData = 0;
  #time = 0;
  #sharedBlocks = 0;

  constructor(random: Random) {
    this.#random = random;
    this.blockSectors = [128, 384, 2048][random.below(3)] ?? 128;
  }

  get deviceIds(): number[] {
    return [...this.#devices.keys()];
  }

  get dataBlockSize(): number {
    return this.blockSectors * 512;
  }

  mappedBlocks(id: number): number {
    return this.#mappings(id).size;
  }

  create(id: number): void {
    this.#devices.set(id, new Map());
  }

  /** As if written before all snapshots: `blocks` mappings in scattered order, which stay shared. */
  writeShared(id: number, blocks: number): void {
    this.#sharedBlocks = blocks;
    const mappings = this.#mappings(id);
    for (let block = 0; block < blocks; block++) {
      // Odd ones lie elsewhere, so that every mapping is a run of its own.
      this.#map(mappings, SHARED_BEGIN + block, this.#nextData + (block % 2 ? blocks : 0) + block);
    }
    this.#nextData += 2 * blocks + 1;
  }

  snapshot(of: number, id: number): void {
    this.#time++;
    const copy = new Map(this.#mappings(of));
    for (const data of copy.values()) this.#users.set(data, (this.#users.get(data) ?? 0) + 1);
    this.#devices.set(id, copy);
  }

  /** One write or discard of a stretch within the first `size` blocks. */
  change(id: number, size: number): void {
    const random = this.#random;
    const mappings = this.#mappings(id);
    const longest = [1, 3, 40][random.below(3)] ?? 1;
    const begin = random.below(size);
    const end = Math.min(size, begin + 1 + random.below(longest));
    const writes = random.below(3) > 0;
    for (let block = begin; block < end; block++) {
      if (writes) this.#write(mappings, block);
      else this.#discard(mappings, block);
    }
  }

  #mappings(id: number): Mappings {
    const mappings = this.#devices.get(id);
    if (mappings === undefined) throw new Error(`no device ${id}`);
    return mappings;
  }

  #map(mappings: Mappings, block: number, data: number): void {
    mappings.set(block, data);
    this.#users.set(data, 1);
    this.#times.set(data, this.#time);
  }

  /** Like the kernel: in place if nobody else has the block. */
  #write(mappings: Mappings, block: number): void {
    const old = mappings.get(block);
    if (old !== undefined && this.#users.get(old) === 1) return;
    this.#discard(mappings, block);
    const reused = this.#random.below(2) === 0 ? this.#freed.pop() : undefined;
    this.#map(mappings, block, reused ?? this.#nextData++);
  }

  #discard(mappings: Mappings, block: number): void {
    const data = mappings.get(block);
    if (data === undefined) return;
    mappings.delete(block);
    const users = (this.#users.get(data) ?? 0) - 1;
    this.#users.set(data, users);
    if (users === 0) this.#freed.push(data);
  }

  /** Input of thin_restore. `withDefs`: what `writeShared` wrote is a `<def>`, for 1.x only. */
  toXml({ withDefs }: { withDefs: boolean }): string {
    const lines = [
      `<superblock uuid="" time="${this.#time}" transaction="7" version="2" data_block_size="${this.blockSectors}" nr_data_blocks="${this.#nextData + 10}">`,
    ];
    const isShared = (block: number) => withDefs && block >= SHARED_BEGIN;
    const [first] = this.#devices.values();
    if (withDefs && first !== undefined && this.#sharedBlocks > 0) {
      lines.push('<def name="shared">', ...this.#xmlMappings(first, isShared), '</def>');
    }
    for (const [id, mappings] of this.#devices) {
      lines.push(
        `<device dev_id="${id}" mapped_blocks="${mappings.size}" transaction="0" creation_time="0" snap_time="${this.#time}">`,
        ...this.#xmlMappings(mappings, (block) => !isShared(block)),
      );
      if (withDefs && this.#sharedBlocks > 0) lines.push('<ref name="shared"/>');
      lines.push('</device>');
    }
    return `${lines.join('\n')}\n</superblock>\n`;
  }

  *#xmlMappings(mappings: Mappings, isWanted: (block: number) => boolean): Generator<string> {
    const blocks = [...mappings.keys()].filter(isWanted).sort((a, b) => a - b);
    let at = 0;
    while (at < blocks.length) {
      const begin = blocks[at] ?? 0;
      const data = mappings.get(begin) ?? 0;
      const time = this.#times.get(data) ?? 0;
      let length = 1;
      while (
        mappings.get(begin + length) === data + length &&
        isWanted(begin + length) &&
        this.#times.get(data + length) === time
      ) {
        length++;
      }
      yield length === 1
        ? `<single_mapping origin_block="${begin}" data_block="${data}" time="${time}"/>`
        : `<range_mapping origin_begin="${begin}" data_begin="${data}" length="${length}" time="${time}"/>`;
      at += length;
    }
  }

  /** Block by block. */
  difference(from: number, to: number, size: number): ExpectedDifference {
    const older = this.#mappings(from);
    const newer = this.#mappings(to);
    const blocks = [...new Set([...older.keys(), ...newer.keys()])].sort((a, b) => a - b);
    const changed = blocks.filter((b) => newer.has(b) && newer.get(b) !== older.get(b));
    const discarded = blocks.filter((b) => !newer.has(b));
    return {
      changed: this.#extents(changed, size),
      discarded: this.#extents(discarded, size),
    };
  }

  #extents(blocks: readonly number[], size: number): number[] {
    const pairs: number[] = [];
    for (const block of blocks) {
      const offset = block * this.dataBlockSize;
      if (offset >= size) continue;
      const length = Math.min(this.dataBlockSize, size - offset);
      const last = pairs.length - 1;
      if (last > 0 && (pairs[last - 1] ?? 0) + (pairs[last] ?? 0) === offset) {
        pairs[last] = (pairs[last] ?? 0) + length;
      } else {
        pairs.push(offset, length);
      }
    }
    return pairs;
  }
}

/** Six related devices, some with stretches that no change touched. */
export function randomPool(random: Random): ThinPoolModel {
  const pool = new ThinPoolModel(random);
  const ids = random.distinct(6, random.below(2) === 0 ? 10 : 2 ** 24);
  const size = [20, 300, 2000][random.below(3)] ?? 20;
  ids.forEach((id, index) => {
    if (index === 0) {
      pool.create(id);
      if (random.below(2) === 0) pool.writeShared(id, 300 + random.below(1500));
    } else {
      pool.snapshot(ids[random.below(index)] ?? id, id);
    }
    const changed = ids.slice(0, index + 1);
    for (let left = random.below(40); left > 0; left--) {
      pool.change(changed[random.below(changed.length)] ?? id, size);
    }
  });
  return pool;
}

// Inside the guest, T20: volumes with an older snapshot, a newer one and a sibling, kept from case to case
// until one of them spends them; and what others do to them.

import { closeSync, fsyncSync, openSync, writeFileSync, writeSync } from 'node:fs';
import type { Random } from '../../helpers/random.js';
import { KiB, MiB, mangle, replaceSegment, TestVolumeGroup } from './lvm.js';
import { type Activity, type Reads, type SceneShape, STEP } from './surroundings-case.js';
import { TestThinPool } from './thin.js';
import { tool } from './tool.js';
import { contentOf, writeContent } from './whole-device.js';

const GROUP = 'here';
/** A multiple of the smallest chunk only. */
export const SIZE = 4 * MiB + STEP;
const PIECE = 4 * KiB;
/** Percent of the time that the kernel may copy chunks: of a merge so few that it lasts. */
const THROTTLE = '/sys/module/dm_snapshot/parameters/snapshot_copy_throttle';

export class Sources {
  readonly #group = new TestVolumeGroup({ name: GROUP, size: 220 * MiB, extentSize: STEP });
  readonly #pools = new Map<number, TestThinPool>();
  readonly #scenes = new Map<string, Scene>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  get(shape: SceneShape): Scene {
    const known = this.#scenes.get(shape.name);
    if (known !== undefined && !known.spent) return known;
    known?.remove();
    const pool = shape.kind === 'thin' ? this.#pool(shape.chunkSize) : undefined;
    const made = new Scene(shape, this.#random, pool);
    this.#scenes.set(shape.name, made);
    return made;
  }

  destroy(): void {
    for (const scene of this.#scenes.values()) scene.remove();
    this.#group.destroy();
  }

  #pool(blockSize: number): TestThinPool {
    const known = this.#pools.get(blockSize);
    if (known !== undefined) return known;
    const name = `pool${blockSize / KiB}`;
    const size = Math.ceil((36 * MiB) / blockSize) * blockSize;
    const pool = new TestThinPool(this.#group, { name, size, blockSize, metadataSize: 2 * MiB });
    this.#pools.set(blockSize, pool);
    return pool;
  }
}

export class Scene {
  /** What the older snapshot holds. */
  readonly older: Buffer;
  /** Something cannot be taken back: the next case needs new volumes. */
  spent = false;
  readonly #shape: SceneShape;
  readonly #random: Random;
  readonly #pool: TestThinPool | undefined;
  #origin: string;
  #snapshot: string;
  #holder: number | undefined;

  constructor(shape: SceneShape, random: Random, pool: TestThinPool | undefined) {
    this.#shape = shape;
    this.#random = random;
    this.#pool = pool;
    this.#origin = shape.name;
    this.#snapshot = `${shape.name}-old`;
    this.#createOrigin();
    writeContent(this.origin, this.#firstContent(), true);
    this.#takeSnapshot(this.#snapshot);
    this.older = contentOf(this.#path(this.#snapshot));
    this.write(30);
    this.#takeSnapshot(`${shape.name}-new`);
    this.#takeSnapshot(this.#sibling);
    this.#writeSibling();
    this.write(10);
  }

  get origin(): string {
    return this.#path(this.#origin);
  }

  get #sibling(): string {
    return `${this.#shape.name}-sibling`;
  }

  get #newer(): string {
    return this.#path(`${this.#shape.name}-new`);
  }

  /** The words that name the source of a sync, some of them in one way, some in the other. */
  words(reads: Reads): string[] {
    const snapshot = `${GROUP}/${this.#snapshot}`;
    if (reads === '--since') return ['--since', snapshot, this.#newer];
    return reads === 'origin' ? [snapshot] : [reads, this.#newer, this.#path(this.#snapshot)];
  }

  /** The device whose content has to be in the copy. */
  dataDevice(reads: Reads): string {
    return reads === 'origin' ? this.origin : this.#newer;
  }

  /** The volume as a cycle names it. */
  get volume(): string {
    return `${GROUP}/${this.#origin}`;
  }

  /** Writes to so many places of the origin. */
  write(count: number): void {
    this.#scatter(
      this.origin,
      Array.from({ length: count }, () => this.#random.below(SIZE / PIECE)),
    );
  }

  act(activity: Activity): void {
    const [origin, sibling] = [`${GROUP}/${this.#origin}`, `${GROUP}/${this.#sibling}`];
    const keeps = ['none', 'origin renamed', 'snapshot renamed'].includes(activity);
    if (!keeps) this.spent = true;
    switch (activity) {
      case 'none':
        return;
      case 'sibling merging':
        this.#merge(sibling);
        return;
      case 'sibling merge scheduled':
        this.#holder ??= openSync(this.origin, 'r');
        tool('lvconvert', '-q', '--merge', '--background', '--interval', '+300', sibling);
        return;
      case 'sibling removed':
        tool('lvremove', '-q', '-f', sibling);
        return;
      case 'origin grown':
        this.#grow(origin);
        return;
      case 'origin cut':
        tool('lvreduce', '-q', '-f', '-L', `-${STEP}b`, origin);
        return;
      case 'origin renamed':
        this.#origin = this.#renamed(this.#origin);
        return;
      case 'snapshot renamed':
        this.#snapshot = this.#renamed(this.#snapshot);
    }
  }

  /** Ends what an activity left, and cycles, if there were any. */
  endCase(cycled: boolean): string | undefined {
    if (this.#holder !== undefined) closeSync(this.#holder);
    this.#holder = undefined;
    writeFileSync(THROTTLE, '100');
    if (cycled) tool('lvremove', '-q', '-f', '-S', 'lv_tags=lvmsync_cycle', GROUP);
    const held = this.#pool?.heldRoot() ?? '-';
    if (held === '-') return undefined;
    this.#pool?.send('release_metadata_snap');
    return `the metadata snap of ${this.#pool?.name} was left held`;
  }

  remove(): void {
    tool('lvremove', '-q', '-f', '-S', `lv_name=~"^${this.#shape.name}"`, GROUP);
  }

  #path(name: string): string {
    return `/dev/${GROUP}/${name}`;
  }

  #createOrigin(): void {
    const what = this.#pool === undefined ? ['-Zn', '-L', `${SIZE}b`] : ['-V', `${SIZE}b`, '-T'];
    const where = this.#pool === undefined ? GROUP : `${GROUP}/${this.#pool.name}`;
    tool('lvcreate', '-q', '-y', '-Wn', '-n', this.#origin, ...what, where);
    if (this.#pool === undefined) tool('blkdiscard', '-z', this.origin);
  }

  #takeSnapshot(name: string): void {
    const thick = ['-L', '6m', '-c', `${this.#shape.chunkSize}b`];
    const options = this.#pool === undefined ? thick : ['-kn', '-ay'];
    tool('lvcreate', '-q', '-y', '-s', ...options, '-n', name, `${GROUP}/${this.#origin}`);
  }

  /** Half of it zeros, in stretches, so that sparse copies have holes. */
  #firstContent(): Buffer {
    const content = Buffer.alloc(SIZE);
    const bytes = this.#random.bytes(STEP);
    for (let at = 0; at < SIZE; at += STEP) {
      // Not at the end: a file that lost it would get it back by growing.
      if (at + STEP === SIZE || this.#random.below(2) === 0) bytes.copy(content, at);
    }
    return content;
  }

  /** Scattered, since the kernel merges neighbours at once. */
  #writeSibling(): void {
    const pieces = SIZE / PIECE;
    const places = Array.from({ length: 500 }, (_, index) => ((index * 7 + 3) * 2) % pieces);
    this.#scatter(this.#path(this.#sibling), places);
  }

  #scatter(path: string, pieces: readonly number[]): void {
    const content = this.#random.bytes(PIECE);
    const descriptor = openSync(path, 'r+');
    for (const piece of pieces) {
      content.writeUInt32LE(this.#random.below(2 ** 32), 0);
      writeSync(descriptor, content, 0, PIECE, piece * PIECE);
    }
    fsyncSync(descriptor);
    closeSync(descriptor);
  }

  /** Of a thick one slowly: a tenth of a second a chunk. */
  #merge(sibling: string): void {
    if (this.#pool === undefined) writeFileSync(THROTTLE, '1');
    tool('lvconvert', '-q', '--merge', '--background', '--interval', '+300', sibling);
    if (this.#pool !== undefined) return;
    const store = `${GROUP}-${mangle(this.#sibling)}-cow`;
    const [, sectors = '0'] = tool('dmsetup', 'table', store).split(' ');
    const whole = { offset: 0, length: Number(sectors) * 512 };
    replaceSegment(store, whole, (device, sector) => `delay ${device} ${sector} 100`);
  }

  #grow(volume: string): void {
    const inactive = this.#pool === undefined;
    if (inactive) tool('lvchange', '-q', '-an', '-y', volume);
    tool('lvextend', '-q', '-L', `+${STEP}b`, volume);
    if (inactive) tool('lvchange', '-q', '-ay', '-y', volume);
  }

  #renamed(name: string): string {
    const other = name.endsWith('-x') ? name.slice(0, -2) : `${name}-x`;
    tool('lvrename', '-q', GROUP, name, other);
    return other;
  }
}

// Inside the guest, T20: destinations of each kind, and what may become of one between two steps.

import { renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { MiB, TestVolumeGroup } from './lvm.js';
import { type Change, type PlaceKind, STEP } from './surroundings-case.js';
import { TestThinPool } from './thin.js';
import { tool } from './tool.js';
import { contentOf, writeContent } from './whole-device.js';

/** A destination. */
export interface Place {
  /** Where it is now. */
  readonly path: string;
  /** Makes it hold a copy of `content`; zeros of a place that has none are left out. */
  hold(content: Buffer): void;
  /** What `restored` brings back is `former`. */
  become(change: Change, former: Buffer): void;
  /** Ends what `hold` began. */
  release(): void;
}

/** Volume group and pools in which the destinations lie, as long as the campaign runs. */
export class Places {
  readonly #group = new TestVolumeGroup({ name: 'there', size: 96 * MiB, extentSize: STEP });
  readonly #made = new Map<PlaceKind, Place>();
  readonly #random: Random;
  #files = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get(kind: PlaceKind): Place {
    if (kind.startsWith('file')) return this.#file(kind);
    const known = this.#made.get(kind);
    if (known !== undefined) return known;
    const made = kind === 'loop device' ? new LoopPlace(this.#random) : this.#volume(kind);
    this.#made.set(kind, made);
    return made;
  }

  destroy(): void {
    for (const place of this.#made.values()) place.release();
    this.#group.destroy();
  }

  #file(kind: PlaceKind): Place {
    const lengths = { file: 0, 'file that is too short': -STEP, 'file that is longer': 100_000 };
    const extra = lengths[kind as keyof typeof lengths];
    return new FilePlace(`${scratchFolder()}/copy-${this.#files++}`, extra, this.#random);
  }

  #volume(kind: PlaceKind): Place {
    const group = this.#group;
    if (kind === 'linear volume') {
      return new VolumePlace('linear', this.#random, (name, size) => {
        tool('lvcreate', '-q', '-y', '-Wn', '-Zn', '-L', `${size}b`, '-n', name, group.name);
      });
    }
    const zeroing = kind === 'thin volume';
    const pool = new TestThinPool(group, {
      ...{ name: zeroing ? 'pool' : 'unzeroed', size: 24 * MiB, blockSize: STEP },
      metadataSize: 2 * MiB,
    });
    const path = `${group.name}/${pool.name}`;
    if (!zeroing) tool('lvchange', '-q', '-y', '-Zn', path);
    tool('lvchange', '-q', '-y', '--discards', 'nopassdown', path);
    if (!zeroing) this.#soil(pool);
    return new VolumePlace(`${pool.name}-copy`, this.#random, (name, size) => {
      tool('lvcreate', '-q', '-y', '-Wn', '-V', `${size}b`, '-T', path, '-n', name);
    });
  }

  /** Its blocks have held other data before. */
  #soil(pool: TestThinPool): void {
    const filler = pool.createVolume('filler', 23 * MiB);
    writeContent(filler.path, Buffer.concat(Array(23).fill(this.#random.bytes(MiB))));
    pool.group.remove(filler);
  }
}

class VolumePlace implements Place {
  readonly #name: string;
  readonly #random: Random;
  readonly #create: (name: string, size: number) => void;
  #current: string;
  /** Bytes of the volume that is there; undefined: none, or not as `hold` wants it. */
  #size: number | undefined;

  constructor(name: string, random: Random, create: (name: string, size: number) => void) {
    this.#name = name;
    this.#current = name;
    this.#random = random;
    this.#create = create;
  }

  get path(): string {
    return `/dev/there/${this.#current}`;
  }

  hold(content: Buffer): void {
    if (this.#size !== content.length) this.#renew(content.length);
    const thin = this.#name !== 'linear';
    if (thin) tool('blkdiscard', this.path);
    writeContent(this.path, content, thin);
  }

  become(change: Change, former: Buffer): void {
    const other = `${this.#name}-other`;
    const size = former.length;
    switch (change) {
      case 'none':
        return;
      case 'restored':
        writeContent(this.path, former);
        return;
      case 'renamed':
        tool('lvrename', '-q', 'there', this.#name, other);
        this.#current = other;
        break;
      case 'replaced':
        tool('lvrename', '-q', 'there', this.#name, other);
        this.#create(this.#name, size);
        writeContent(this.path, this.#random.bytes(size));
        break;
      case 'grown':
        tool('lvextend', '-q', '-L', `+${STEP}b`, this.path);
        break;
      case 'cut':
        tool('lvreduce', '-q', '-f', '-L', `-${STEP}b`, this.path);
    }
    this.#size = undefined;
  }

  release(): void {
    if (this.#size === undefined) this.#remove();
  }

  #renew(size: number): void {
    this.#remove();
    this.#create(this.#name, size);
    this.#current = this.#name;
    this.#size = size;
  }

  #remove(): void {
    const select = `lv_name=${this.#name} || lv_name=${this.#name}-other`;
    tool('lvremove', '-q', '-f', '-S', select, 'there');
    this.#size = undefined;
  }
}

class FilePlace implements Place {
  path: string;
  readonly #extra: number;
  readonly #random: Random;

  constructor(path: string, extra: number, random: Random) {
    this.path = path;
    this.#extra = extra;
    this.#random = random;
  }

  hold(content: Buffer): void {
    writeFileSync(this.path, '');
    truncateSync(this.path, content.length);
    writeContent(this.path, content, true);
    if (this.#extra < 0) truncateSync(this.path, content.length + this.#extra);
    if (this.#extra > 0) writeFileSync(this.path, this.#random.bytes(this.#extra), { flag: 'a' });
  }

  become(change: Change, former: Buffer): void {
    const size = contentOf(this.path).length;
    switch (change) {
      case 'none':
        return;
      case 'restored':
        writeContent(this.path, former.subarray(0, size));
        return;
      case 'renamed':
        renameSync(this.path, `${this.path}.other`);
        this.path = `${this.path}.other`;
        return;
      case 'replaced':
        renameSync(this.path, `${this.path}.other`);
        writeFileSync(this.path, this.#random.bytes(size));
        return;
      case 'grown':
        truncateSync(this.path, size + STEP);
        return;
      case 'cut':
        truncateSync(this.path, size - STEP);
    }
  }

  release(): void {
    rmSync(dirname(this.path), { recursive: true });
  }
}

/** Stands for a disk or a partition: a device that LVM and device-mapper know nothing of. */
class LoopPlace implements Place {
  readonly #folder = scratchFolder();
  readonly #random: Random;
  #path: string | undefined;
  readonly #attached = new Set<string>();

  constructor(random: Random) {
    this.#random = random;
  }

  get path(): string {
    return this.#path ?? 'no loop device';
  }

  hold(content: Buffer): void {
    this.release();
    this.#path = this.#attach('-f', this.#backing('disk', content));
  }

  become(change: Change, former: Buffer): void {
    const { path } = this;
    switch (change) {
      case 'none':
        return;
      case 'restored':
        writeContent(path, former);
        return;
      case 'renamed':
        // After a reboot another disk may have the name.
        this.#detach(path);
        this.#attach(path, this.#backing('other', this.#random.bytes(former.length)));
        this.#path = this.#attach('-f', `${this.#folder}/disk`);
        return;
      case 'replaced':
        this.#detach(path);
        this.#attach(path, this.#backing('other', this.#random.bytes(former.length)));
        return;
      default: {
        const size = former.length + (change === 'grown' ? STEP : -STEP);
        truncateSync(`${this.#folder}/disk`, size);
        tool('losetup', '-c', path);
      }
    }
  }

  release(): void {
    for (const path of this.#attached) this.#detach(path);
  }

  #backing(name: string, content: Buffer): string {
    writeFileSync(`${this.#folder}/${name}`, content);
    return `${this.#folder}/${name}`;
  }

  /** `where` is a device, or -f for any that is free. */
  #attach(where: string, file: string): string {
    const path = where === '-f' ? tool('losetup', '-f', '--show', file) : where;
    if (where !== '-f') tool('losetup', where, file);
    this.#attached.add(path);
    return path;
  }

  #detach(path: string): void {
    tool('losetup', '-d', path);
    this.#attached.delete(path);
  }
}

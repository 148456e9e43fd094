// Inside the guest: what most scenarios begin with, a volume, its copy, and a snapshot between them.

import { after, afterEach, before, beforeEach, type TestContext } from 'node:test';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { assertSameContent, fillRandom, saveContent, scattered, writeRandom } from './content.js';
import { KiB, type LogicalVolume, MiB, type SnapshotOptions, TestVolumeGroup } from './lvm.js';
import { TestThinPool, type ThinPoolOptions, useOwnStateFolder } from './thin.js';

export interface CopyOptions {
  /** One for all that a file writes, so that one seed repeats it. */
  readonly random?: Random;
  /** Of the origin and of its copy, in bytes. */
  readonly size?: number;
  readonly names?: readonly [origin: string, copy: string];
  /** Whether the copy is in a group of its own, as on another host. */
  readonly elsewhere?: boolean;
  /** What the copy holds at first: what the origin does, if nothing else is said. */
  readonly copyHolds?: 'origin' | 'other data';
  /** If given, a snapshot is made and so many pages of the origin are written after it. */
  readonly changes?: number;
  /** How long it all lasts: for all tests of the block, for each anew, or for the one test alone. */
  readonly until?: 'end of block' | 'end of each' | TestContext;
}

export interface ThickCopyOptions extends CopyOptions {
  readonly chunkSize?: number;
}

export interface ThinCopyOptions extends CopyOptions {
  readonly pool: ThinPoolOptions;
  /** How much of the origin is written at first, from its beginning on; all, if nothing else is said. */
  readonly written?: number;
}

const PAGE = 4 * KiB;

abstract class Copy<Options extends CopyOptions> {
  readonly random: Random;
  readonly size: number;
  readonly folder = scratchFolder();
  /** A file with what the copy held at first, or when `keep` was called last. */
  readonly untouched = `${scratchFolder()}/untouched`;
  group!: TestVolumeGroup;
  /** The group of the copy, which is the same unless it is to be elsewhere. */
  there!: TestVolumeGroup;
  origin!: LogicalVolume;
  copy!: LogicalVolume;
  /** Only where changes were asked for. */
  snapshot!: LogicalVolume;
  protected readonly options: Options;

  constructor(options: Options) {
    this.options = options;
    this.random = options.random ?? new Random();
    this.size = options.size ?? 16 * MiB;
  }

  protected abstract createOrigin(name: string): LogicalVolume;
  protected abstract firstSnapshot(): LogicalVolume;
  protected get written(): number {
    return this.size;
  }

  make(): void {
    const {
      names: [name, copyName] = ['data', 'copy'],
      elsewhere,
      copyHolds,
      changes,
    } = this.options;
    this.group = new TestVolumeGroup();
    this.there = elsewhere === true ? new TestVolumeGroup({ name: 'vg2' }) : this.group;
    this.origin = this.createOrigin(name);
    this.copy = this.there.createVolume(copyName, this.size);
    fillRandom(this.origin.path, this.random, this.written);
    if (copyHolds === 'other data') fillRandom(this.copy.path, this.random, this.size);
    else saveContent(this.origin.path, this.copy.path);
    this.keep();
    if (changes === undefined) return;
    this.snapshot = this.firstSnapshot();
    this.change(changes);
  }

  destroy(): void {
    this.group.destroy();
    if (this.there !== this.group) this.there.destroy();
  }

  /** Writes pages of the origin, anywhere. */
  change(count: number, length = PAGE): void {
    const plan = { count, length };
    writeRandom(this.origin.path, this.random, scattered(this.random, this.size, plan));
  }

  keep(): void {
    saveContent(this.copy.path, this.untouched);
  }

  restore(): void {
    saveContent(this.untouched, this.copy.path);
  }

  assertUntouched(): void {
    assertSameContent(this.copy.path, this.untouched);
  }

  assertEqual(): void {
    assertSameContent(this.origin.path, this.copy.path);
  }
}

class ThickCopy extends Copy<ThickCopyOptions> {
  readonly chunkSize = this.options.chunkSize ?? PAGE;

  createSnapshot(options: Partial<SnapshotOptions> = {}): LogicalVolume {
    return this.group.createSnapshot(this.origin, { chunkSize: this.chunkSize, ...options });
  }

  protected override createOrigin(name: string): LogicalVolume {
    return this.group.createVolume(name, this.size);
  }

  protected override firstSnapshot(): LogicalVolume {
    return this.createSnapshot();
  }
}

class ThinCopy extends Copy<ThinCopyOptions> {
  pool!: TestThinPool;

  protected override createOrigin(name: string): LogicalVolume {
    useOwnStateFolder();
    this.pool = new TestThinPool(this.group, this.options.pool);
    return this.pool.createVolume(name, this.size);
  }

  protected override firstSnapshot(): LogicalVolume {
    return this.pool.snapshot(this.origin, 'snap');
  }

  protected override get written(): number {
    return this.options.written ?? this.size;
  }
}

/** A volume, and its copy: both are there from the first hook or test on. */
export function withThickCopy(options: ThickCopyOptions = {}): ThickCopy {
  return during(options.until, new ThickCopy(options));
}

/** The same with a thin volume; the copy is not in the pool. */
export function withThinCopy(options: ThinCopyOptions): ThinCopy {
  return during(options.until, new ThinCopy(options));
}

interface Made {
  make(): void;
  destroy(): void;
}

function during<T extends Made>(until: CopyOptions['until'] = 'end of block', made: T): T {
  if (until === 'end of block') {
    before(() => made.make());
    after(() => made.destroy());
  } else if (until === 'end of each') {
    beforeEach(() => made.make());
    afterEach(() => made.destroy());
  } else {
    until.after(() => made.destroy());
    made.make();
  }
  return made;
}

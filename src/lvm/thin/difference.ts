/**
 * The changes between two thin volumes of one pool: two thin_dump outputs, merged as they stream.
 * The same data block means the same data: dm-thin never writes to a block that two devices share,
 * and does not reuse one while any device maps it.
 */

import { LvmsyncError } from '../../base/errors.js';
import type { ExtentList } from '../../device/extent.js';
import type { CommandStream } from '../../host/subprocess.js';
import { BlockExtents } from './block-extents.js';
import type { ThinSuperblock } from './superblock.js';
import { type RunBatch, readThinDump } from './thin-dump.js';

export interface ThinDifference {
  /** Mapped in the newer volume to another data block than in the older one, or only in the newer. */
  readonly changed: ExtentList;
  /** Mapped only in the older volume: discarded since, or never there. */
  readonly discarded: ExtentList;
  /** Bytes. */
  readonly dataBlockSize: number;
}

export interface DumpedDevice {
  /** `thin_dump -m --dev-id ID`; a dump that holds other devices, too, is understood. */
  readonly dump: CommandStream;
  readonly deviceId: number;
}

export interface DumpedPair {
  /** The older volume: the snapshot. Undefined: one that maps nothing. */
  readonly from: DumpedDevice | undefined;
  /** The newer volume, from which data will be read. */
  readonly to: DumpedDevice;
  /** Bytes of the newer volume: mappings beyond its end are left over from a larger size. */
  readonly size: number;
  /**
   * Bytes of the older volume: behind its end nothing of it counts as mapped, also not what is left
   * over there from a larger size. Undefined: as far as it is mapped.
   */
  readonly fromSize?: number;
}

/**
 * Both dumps must be of the same metadata snap. Memory is bounded but for about 16 bytes an extent
 * of the result. Throws LvmsyncError (pool), or what made a tool fail, after stopping both tools.
 */
export async function readThinDifference(pair: DumpedPair): Promise<ThinDifference> {
  const { from, to, size, fromSize = Number.POSITIVE_INFINITY } = pair;
  const older = new Cursor(from && readThinDump(from.dump, from.deviceId), fromSize);
  const newer = new Cursor(readThinDump(to.dump, to.deviceId), size);
  try {
    const [left, right] = await Promise.all([older.start(), newer.start()]);
    if (right === undefined) throw new TypeError('a volume without a dump');
    if (left !== undefined) checkSamePool(left, right);
    const { dataBlockSize } = right;
    const changed = new BlockExtents(dataBlockSize, size);
    const discarded = new BlockExtents(dataBlockSize, size);
    while (!older.atEnd || !newer.atEnd) {
      merge(older, newer, { changed, discarded });
      await Promise.all([older.refill(), newer.refill()]);
    }
    return { changed: changed.finish(), discarded: discarded.finish(), dataBlockSize };
  } catch (error) {
    // First both tools, so that neither cursor waits for one that would go on for long.
    from?.dump.stop();
    to.dump.stop();
    await Promise.allSettled([older.close(), newer.close()]);
    throw error;
  }
}

function checkSamePool(left: ThinSuperblock, right: ThinSuperblock): void {
  if (left.dataBlockSize !== right.dataBlockSize) {
    throw new LvmsyncError(
      'pool',
      `thin_dump: two dumps of one pool disagree: data blocks of ${left.dataBlockSize} and of ${right.dataBlockSize} bytes`,
    );
  }
  if (left.state !== right.state) {
    throw new LvmsyncError('pool', 'thin_dump: two dumps are from different metadata snaps');
  }
}

/** Goes on until one side needs its next batch, or both have ended. */
function merge(
  older: Cursor,
  newer: Cursor,
  { changed, discarded }: { changed: BlockExtents; discarded: BlockExtents },
): void {
  while (older.ready && newer.ready) {
    const { begin } = older;
    if (begin < newer.begin) {
      discarded.append(begin, older.consume(newer.begin - begin));
    } else if (newer.begin < begin) {
      const start = newer.begin;
      changed.append(start, newer.consume(begin - start));
    } else if (begin === Number.POSITIVE_INFINITY) {
      return;
    } else {
      const length = Math.min(older.length, newer.length);
      if (older.data !== newer.data) changed.append(begin, length);
      older.consume(length);
      newer.consume(length);
    }
  }
}

/** The rest of the run that a list of mappings has come to. Blocks. */
class Cursor {
  begin = 0;
  data = 0;
  length = 0;
  readonly #batches: AsyncGenerator<RunBatch, void> | undefined;
  #runs: Float64Array = new Float64Array(0);
  /** Behind the run in `#runs` that is in the fields above. */
  #next = 0;
  readonly #size: number;
  /** Blocks; the last one may reach past the end of the volume. */
  #limit = Number.POSITIVE_INFINITY;

  /** `size`: bytes of the volume. Without batches it maps nothing. */
  constructor(batches: AsyncGenerator<RunBatch, void> | undefined, size: number) {
    this.#batches = batches;
    this.#size = size;
  }

  /** False where `refill` must be called. */
  get ready(): boolean {
    return this.length > 0;
  }

  /** Past the last run: `begin` is infinite then. */
  get atEnd(): boolean {
    return this.begin === Number.POSITIVE_INFINITY;
  }

  /** Resolves with what the dump says of the pool, where there is a dump. */
  async start(): Promise<ThinSuperblock | undefined> {
    if (this.#batches === undefined) {
      this.#finish();
      return undefined;
    }
    const { value, done } = await this.#batches.next();
    if (done) throw new TypeError('a dump without a batch');
    this.#limit = Math.ceil(this.#size / value.superblock.dataBlockSize);
    this.#runs = value.runs;
    this.#load();
    await this.refill();
    return value.superblock;
  }

  async refill(): Promise<void> {
    while (!this.ready) {
      const next = await this.#batches?.next();
      if (next === undefined || next.done) return this.#finish();
      const { value } = next;
      this.#runs = value.runs;
      this.#next = 0;
      this.#load();
    }
  }

  /** Steps over at most `wanted` blocks of the run; returns how many. */
  consume(wanted: number): number {
    const length = Math.min(wanted, this.length);
    this.begin += length;
    this.data += length;
    this.length -= length;
    if (this.length === 0) this.#load();
    return length;
  }

  async close(): Promise<void> {
    await this.#batches?.return();
  }

  #load(): void {
    const at = this.#next;
    if (at === this.#runs.length) return;
    this.begin = this.#runs[at] ?? 0;
    this.data = this.#runs[at + 1] ?? 0;
    this.length = Math.min(this.#runs[at + 2] ?? 0, this.#limit - this.begin);
    this.#next = at + 3;
    if (this.length > 0) return;
    // All that follow lie beyond the limit, too; the dump must still come to its proper end.
    this.length = 0;
    this.#next = this.#runs.length;
  }

  #finish(): void {
    this.begin = Number.POSITIVE_INFINITY;
    this.length = Number.POSITIVE_INFINITY;
  }
}

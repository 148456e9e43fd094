/**
 * Whether the device or file that a run reads was written to meanwhile. The kernel counts the sectors
 * written to each block device where they enter it: what goes to an origin counts for the origin's own
 * node, however it is stacked, and neither reading nor our flushing of an empty cache adds to them.
 * (Writes completed would not do: a flush without data is one.)
 */

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readText } from '../host/virtual-files.js';
import { type FileDevice, SlabPool } from './block-device.js';
import { statAfterTick } from './file-tick.js';
import { type DeviceIdentity, identityFromStat, identityKey } from './topology.js';

/** `unknown`: nothing counts for this device. */
export type Writes = 'none' | 'some' | 'unknown';

/** The thing that is watched: an open device, or its stand-in in a test. */
export type Watched = Pick<FileDevice, 'path' | 'identity' | 'size' | 'sync' | 'readBatch'>;

/** One look at the counters. */
interface Counters {
  /** Differs after a read; undefined where a read leaves no trace. */
  readonly reads: string | undefined;
  /** Differs after a write. */
  readonly mark: string;
  /** A write is under way: whether the counters have it already depends on the kernel's version. */
  readonly writing: boolean;
}

export class WriteWatch {
  /** As the user knows it. */
  readonly path: string;
  /** Another device that the user could read from; reads on after "Stop what writes to it". */
  readonly remedy: string;
  readonly #look: () => Counters | undefined;
  readonly #start: Counters | undefined;

  private constructor(of: Pick<WriteWatch, 'path' | 'remedy'>, look: () => Counters | undefined) {
    this.path = of.path;
    this.remedy = of.remedy;
    this.#look = look;
    this.#start = look();
  }

  /**
   * To be called before the list of changes is read. What others left in the device's cache is written
   * first: it counts as written before. `root` is put before `/sys`.
   */
  static async begin(watched: Watched, remedy = '', root = ''): Promise<WriteWatch> {
    const look = (): Counters | undefined => readCounters(watched, root);
    await watched.sync();
    if (watched.identity.kind === 'file') statAfterTick(watched.path);
    const before = look();
    // The switch queue/iostats proves nothing: some kernels count in spite of it. A read of ours does.
    if (before?.reads !== undefined) await readHead(watched);
    const counts = before?.reads === undefined || before.reads !== look()?.reads;
    const { path } = watched;
    return new WriteWatch({ path, remedy }, counts ? look : () => undefined);
  }

  /** Since it began. */
  writes(): Writes {
    const now = this.#look();
    if (this.#start === undefined || now === undefined) return 'unknown';
    const busy = this.#start.writing || now.writing;
    return busy || this.#start.mark !== now.mark ? 'some' : 'none';
  }
}

const HEAD_SIZE = 4096;

async function readHead(watched: Watched): Promise<void> {
  const slab = await new SlabPool(1, HEAD_SIZE).lease();
  await watched.readBatch(slab, Float64Array.of(0, Math.min(HEAD_SIZE, watched.size), 0));
}

function readCounters({ path, identity }: Watched, root: string): Counters | undefined {
  if (identity.kind === 'file') return readFileCounters(path, identity);
  return readDeviceCounters(join(root, '/sys/dev/block', identity.device));
}

/** Positions in the `stat` and `inflight` of a block device (Documentation/block/stat.rst). */
const SECTORS_READ = 2;
const SECTORS_WRITTEN = 6;
const SECTORS_DISCARDED = 13;
const WRITES_IN_FLIGHT = 1;

function readDeviceCounters(folder: string): Counters | undefined {
  const stat = readNumbers(join(folder, 'stat'));
  const written = stat[SECTORS_WRITTEN];
  if (written === undefined) return undefined;
  return {
    reads: stat[SECTORS_READ],
    mark: `${written} ${stat[SECTORS_DISCARDED] ?? ''}`,
    writing: (readNumbers(join(folder, 'inflight'))[WRITES_IN_FLIGHT] ?? '0') !== '0',
  };
}

/** As text: they are compared only, and may exceed what a number holds. */
function readNumbers(path: string): string[] {
  return readText(path)?.trim().split(/\s+/) ?? [];
}

/** The change time also shows a write whose modification time was set back. */
function readFileCounters(path: string, identity: DeviceIdentity): Counters | undefined {
  try {
    const stats = statSync(path, { bigint: true });
    const found = identityFromStat(stats);
    // Another file by that name: what became of the one we read, its name does not tell.
    if (found === undefined || identityKey(found) !== identityKey(identity)) return undefined;
    const mark = `${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
    return { reads: undefined, mark, writing: false };
  } catch {
    return undefined;
  }
}

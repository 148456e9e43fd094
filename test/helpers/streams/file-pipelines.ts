/** Whole runs on files in this process: what run-sync, run-dump and run-apply do between open and close. */

import { closeSync, constants, openSync } from 'node:fs';
import { FileDevice } from '../../../src/device/block-device.js';
import {
  BATCH_LIMITS,
  type ExtentList,
  NO_EXTENTS,
  slabSizeFor,
} from '../../../src/device/extent.js';
import { APPLY_DEPTH, apply } from '../../../src/pipeline/apply.js';
import { compare, type Differences } from '../../../src/pipeline/compare.js';
import { ByteComparer } from '../../../src/pipeline/compare-bytes.js';
import { DUMP_DEPTH, dump } from '../../../src/pipeline/dump.js';
import { LOCAL_DEPTH, localSync } from '../../../src/pipeline/local-sync.js';
import { Snapback } from '../../../src/pipeline/snapback.js';
import { WriteStage } from '../../../src/pipeline/write-stage.js';
import { ChangeReader } from '../../../src/stream/change-reader.js';
import { GROUP_SLAB_SIZE } from '../../../src/stream/change-stream.js';
import { ChangeWriter } from '../../../src/stream/change-writer.js';
import { CountingPool } from '../devices/counting-pool.js';

// Shared by all runs of a process: a slab that is not given back is noticed by the next one.
const syncPool = new CountingPool(2 * LOCAL_DEPTH, slabSizeFor(BATCH_LIMITS));
const dumpPool = new CountingPool(DUMP_DEPTH + 1, slabSizeFor(BATCH_LIMITS));
const applyPool = new CountingPool(2 * APPLY_DEPTH + 1, GROUP_SLAB_SIZE);

const { signal } = new AbortController();
const quiet = { signal, onProgress: () => undefined };

export interface SyncRun {
  readonly source: string;
  readonly extents: ExtentList;
  readonly destination: string;
  readonly snapback: string;
  /** Hears of a destination that was made longer, as soon as it was. */
  readonly onGrown?: (size: number) => void;
}

/** Resolves where the program would end with status 0. A smaller destination grows. */
export async function syncFiles(run: SyncRun): Promise<void> {
  const source = await FileDevice.open(run.source, { role: 'source' });
  try {
    await withDestination(run, source.size, async (device, snapback) => {
      const stage = new WriteStage(device, snapback, syncPool);
      const what = { source, extents: run.extents, zeros: NO_EXTENTS };
      await localSync({ ...what, ...quiet, stage, pool: syncPool });
      await stage.finish();
    });
  } finally {
    await source.close();
    requireAllBack(syncPool);
  }
}

/** Adds the pages that differ to `found`. */
export async function compareFiles(
  run: Pick<SyncRun, 'source' | 'extents' | 'destination'>,
  found: Differences,
): Promise<void> {
  const source = await FileDevice.open(run.source, { role: 'source' });
  try {
    const destination = await FileDevice.open(run.destination, { role: 'destination' });
    try {
      const comparer = new ByteComparer(source, destination);
      await compare({ comparer, extents: run.extents, ...quiet }, found);
    } finally {
      await destination.close();
    }
  } finally {
    await source.close();
  }
}

/** Writes a stream of kind file. Rejects with an LvmsyncError of the source, or the addon's error. */
export async function dumpTo(
  fd: number,
  run: { readonly source: string; readonly extents: ExtentList; readonly flush: boolean },
): Promise<void> {
  const source = await FileDevice.open(run.source, { role: 'source' });
  try {
    const { extents } = run;
    const totalBytes = extents.totalBytes;
    const facts = { kind: 'file', deviceSize: source.size, sorted: true, totalBytes } as const;
    const writer = await ChangeWriter.framed(fd, { ...facts, attributes: {} });
    await dump({ source, extents, limits: BATCH_LIMITS, writer, pool: dumpPool, ...quiet });
    await writer.end({ sourceChanged: false });
    if (run.flush) await writer.syncData();
  } finally {
    await source.close();
    requireAllBack(dumpPool);
  }
}

export interface ApplyRun {
  readonly stream: string;
  readonly destination: string;
  /** Undefined: the former content is not saved. */
  readonly snapback: string | undefined;
  /** Check a classic stream; without, it may name a place twice. */
  readonly strict?: boolean;
}

/** Resolves where the program would end with status 0. */
export async function applyFile({ strict = true, ...run }: ApplyRun): Promise<void> {
  const fd = openSync(run.stream, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const reader = new ChangeReader(fd, run.stream);
    const form = await reader.readForm();
    await withDestination(run, 0, async (device, snapback) => {
      const destinationSize = device.size;
      reader.begin(form, { deviceSize: destinationSize, strict });
      const stage = new WriteStage(device, snapback, applyPool);
      const disjoint = form.form === 'framed' || strict;
      const how = { destinationSize, disjoint, ...quiet };
      await apply({ reader, stage, pool: applyPool, ...how });
      await stage.finish();
    });
  } finally {
    closeSync(fd);
    requireAllBack(applyPool);
  }
}

async function withDestination(
  run: Pick<SyncRun, 'destination' | 'onGrown'> & { readonly snapback: string | undefined },
  sourceSize: number,
  work: (device: FileDevice, snapback: Snapback | undefined) => Promise<void>,
): Promise<void> {
  const claim = { role: 'destination', write: true, exclusive: true } as const;
  const device = await FileDevice.open(run.destination, claim);
  let snapback: Snapback | undefined;
  try {
    const size = Math.max(device.size, sourceSize);
    snapback = await createSnapback(run.snapback, size);
    if (size > device.size) {
      await device.resize(size);
      run.onGrown?.(size);
    }
    await work(device, snapback);
  } finally {
    snapback?.close();
    await device.close();
  }
}

async function createSnapback(
  path: string | undefined,
  deviceSize: number,
): Promise<Snapback | undefined> {
  if (path === undefined) return undefined;
  const facts = { deviceSize, attributes: {} };
  return Snapback.create({ path, overwrite: false, facts, sorted: false });
}

function requireAllBack(pool: CountingPool): void {
  if (pool.leased !== 0) throw new Error(`${pool.leased} slabs were not given back`);
}

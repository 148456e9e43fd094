/** The three pipelines on devices in memory that record what happens and fail on demand. */

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { LvmsyncError } from '../../../src/base/errors.js';
import { BATCH_LIMITS, ExtentList, NO_EXTENTS, slabSizeFor } from '../../../src/device/extent.js';
import { isNativeError, native } from '../../../src/host/native.js';
import { APPLY_DEPTH, apply } from '../../../src/pipeline/apply.js';
import { DUMP_DEPTH, dump } from '../../../src/pipeline/dump.js';
import { LOCAL_DEPTH, localSync } from '../../../src/pipeline/local-sync.js';
import { Snapback } from '../../../src/pipeline/snapback.js';
import { WriteStage } from '../../../src/pipeline/write-stage.js';
import { ChangeReader } from '../../../src/stream/change-reader.js';
import { GROUP_SLAB_SIZE } from '../../../src/stream/change-stream.js';
import { ChangeWriter } from '../../../src/stream/change-writer.js';
import { CountingPool } from '../../helpers/devices/counting-pool.js';
import {
  type DeviceCall,
  MemoryDevice,
  type MemoryDeviceOptions,
} from '../../helpers/devices/memory-device.js';
import { type Extents, extentsOf, joined } from '../../helpers/devices/operations.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  dataRecordsOf,
  framedStream,
  type StreamRecord,
} from '../../helpers/streams/stream-parts.js';

const MiB = 1024 * 1024;
const CHUNK = 64 * 1024;
const SIZE = 24 * MiB;
const random = new Random();
const folder = scratchFolder();
let files = 0;

const OLD = Buffer.alloc(SIZE, 'former content of the destination ');
const NEW = Buffer.alloc(SIZE);
for (let at = 0; at < SIZE; at += CHUNK) NEW.fill(`new content at ${at} `, at, at + CHUNK);

/** Two thirds of the device, in chunks: some ten batches. */
const CHANGED: Extents = random
  .distinct((SIZE / CHUNK / 3) * 2, SIZE / CHUNK)
  .sort((a, b) => a - b)
  .map((chunk) => [chunk * CHUNK, CHUNK] as const);
const CHANGED_BYTES = CHANGED.length * CHUNK;

function changedList(): ExtentList {
  return new ExtentList(Float64Array.from(CHANGED.flat()));
}

/** Former content, with the new content at the extents. */
function changedAt(extents: Extents): Buffer {
  const content = Buffer.from(OLD);
  for (const [offset, length] of extents) NEW.copy(content, offset, offset, offset + length);
  return content;
}

/** Lets everything else run first, for a random number of turns. */
async function dawdle(): Promise<void> {
  for (let turns = random.below(6); turns > 0; turns--) await nextTurn();
}

function failure(code: 'sourceRead' | 'destinationWrite'): LvmsyncError {
  return new LvmsyncError(code, `injected ${code}`);
}

/** Fails the n-th call of that kind, counted from 1. */
function failing(action: DeviceCall['action'], nth: number, error: unknown): MemoryDeviceOptions {
  let calls = 0;
  return {
    before: async (call) => {
      const fails = call.action === action && ++calls === nth;
      await dawdle();
      if (fails) throw error;
    },
  };
}

function written(device: MemoryDevice): Extents {
  return device.done.filter(({ action }) => action === 'write').flatMap(({ extents }) => extents);
}

async function makeSnapback(): Promise<Snapback> {
  const path = join(folder, `snapback-${files++}`);
  const facts = { deviceSize: SIZE, attributes: {} };
  return Snapback.create({ path, overwrite: false, facts, sorted: false });
}

/** Notes what has been saved durably; returns a check that lets only such ranges be written. */
function watchSaves(snapback: Snapback): MemoryDeviceOptions {
  const saved: (readonly [number, number])[] = [];
  const save = snapback.save.bind(snapback);
  snapback.save = async (slab, operations) => {
    await save(slab, operations);
    await dawdle();
    saved.push(...extentsOf(operations));
  };
  return {
    before: async ({ action, extents }) => {
      if (action === 'write') {
        for (const [offset, length] of extents) {
          const covered = saved.some(
            ([start, size]) => start <= offset && offset + length <= start + size,
          );
          assert.ok(covered, `${offset}+${length} is written before it was saved`);
        }
      }
      await dawdle();
    },
  };
}

/** What a rollback with the snapback makes of the content. */
async function rolledBack(path: string, { content }: MemoryDevice): Promise<Buffer> {
  const { destination } = await runApply(path, { destination: new MemoryDevice(content) });
  return destination.content;
}

describe('a local sync', () => {
  interface Run {
    readonly source?: MemoryDevice;
    readonly destination?: MemoryDevice;
    readonly snapback?: Snapback;
    readonly controller?: AbortController;
    readonly onProgress?: (doneBytes: number) => void;
  }

  async function run(given: Run) {
    const source = given.source ?? new MemoryDevice(NEW, { before: dawdle });
    const destination = given.destination ?? new MemoryDevice(Buffer.from(OLD), { before: dawdle });
    const pool = new CountingPool(2 * LOCAL_DEPTH, slabSizeFor(BATCH_LIMITS));
    const stage = new WriteStage(destination, given.snapback, pool);
    const { signal } = given.controller ?? new AbortController();
    const onProgress = given.onProgress ?? (() => undefined);
    const what = { extents: changedList(), zeros: NO_EXTENTS };
    const job = { source, ...what, stage, pool, signal, onProgress };
    const outcome = await localSync(job).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.equal(pool.leased, 0, 'every slab was given back');
    assert.ok(pool.mostLeased <= 2 * LOCAL_DEPTH);
    assert.ok(destination.mostRunning <= LOCAL_DEPTH);
    return { source, destination, stage, outcome };
  }

  test('copies the extents and nothing else, each byte once', async () => {
    const { destination, stage, outcome, source } = await run({});
    assert.equal(outcome, undefined);
    assert.ok(destination.content.equals(changedAt(CHANGED)));
    assert.deepEqual(joined(written(destination)), joined(CHANGED));
    assert.equal(stage.writtenBytes, CHANGED_BYTES);
    assert.ok(source.mostRunning > 1, 'batches overlap');
  });

  test('reports progress that rises to the whole', async () => {
    const reports: number[] = [];
    await run({ onProgress: (doneBytes) => reports.push(doneBytes) });
    assert.deepEqual(
      reports,
      [...reports].sort((a, b) => a - b),
    );
    assert.equal(reports.at(-1), CHANGED_BYTES);
  });

  test('writes no range before its former content is saved, and can be undone', async () => {
    const snapback = await makeSnapback();
    const destination = new MemoryDevice(Buffer.from(OLD), watchSaves(snapback));
    const { outcome, stage } = await run({ destination, snapback });
    assert.equal(outcome, undefined);
    await stage.finish();
    assert.ok(destination.content.equals(changedAt(CHANGED)));
    assert.equal(snapback.savedBytes, CHANGED_BYTES);
    assert.ok((await rolledBack(snapback.path, destination)).equals(OLD));
  });

  test('flushes the destination before the snapback is marked complete', async () => {
    const snapback = await makeSnapback();
    const sizeAtFlush: number[] = [];
    const destination = new MemoryDevice(Buffer.from(OLD), {
      before: ({ action }) => {
        if (action === 'sync') sizeAtFlush.push(readFileSync(snapback.path).length);
      },
    });
    const { stage } = await run({ destination, snapback });
    await stage.finish();
    assert.equal(sizeAtFlush.length, 1);
    assert.ok(sizeAtFlush[0]! < readFileSync(snapback.path).length);
  });

  for (const nth of [1, 2, 5, 8]) {
    test(`ends with the failure of the ${nth}. read of the source, after all that is under way`, async () => {
      const error = failure('sourceRead');
      const source = new MemoryDevice(NEW, failing('read', nth, error));
      const { outcome, destination, stage } = await run({ source });
      assert.equal(outcome, error);
      assert.ok(destination.content.equals(changedAt(written(destination))));
      assert.equal(
        stage.writtenBytes,
        written(destination).reduce((sum, [, length]) => sum + length, 0),
      );
    });

    test(`ends with the failure of the ${nth}. write, and what was saved undoes the rest`, async () => {
      const error = failure('destinationWrite');
      const snapback = await makeSnapback();
      const destination = new MemoryDevice(Buffer.from(OLD), failing('write', nth, error));
      const { outcome } = await run({ destination, snapback });
      assert.equal(outcome, error);
      snapback.close();
      // The failed write may have done a part of its work: all of it was saved before.
      for (const [offset, length] of CHANGED) {
        if (written(destination).some(([start]) => start === offset)) continue;
        const call = destination.done.find(
          ({ action, extents }) => action === 'read' && extents.some(([start]) => start === offset),
        );
        if (call !== undefined) destination.content.fill(0, offset, offset + length / 2);
      }
      assert.ok((await rolledBack(snapback.path, destination)).equals(OLD));
    });

    test(`ends with the failure of the ${nth}. read for the snapback, before that range is written`, async () => {
      const error = failure('destinationWrite');
      const snapback = await makeSnapback();
      const destination = new MemoryDevice(Buffer.from(OLD), failing('read', nth, error));
      const { outcome } = await run({ destination, snapback });
      assert.equal(outcome, error);
      snapback.close();
      const reads = destination.done.filter(({ action }) => action === 'read');
      const readRanges = reads.flatMap(({ extents }) => extents.map(([offset]) => offset));
      for (const [offset] of written(destination)) assert.ok(readRanges.includes(offset));
    });
  }

  test('a failed flush is the failure of the run, and leaves the snapback without its end', async () => {
    const error = failure('destinationWrite');
    const snapback = await makeSnapback();
    const destination = new MemoryDevice(Buffer.from(OLD), failing('sync', 1, error));
    const { stage } = await run({ destination, snapback });
    const before = readFileSync(snapback.path).length;
    await assert.rejects(stage.finish(), (caught) => caught === error);
    assert.equal(readFileSync(snapback.path).length, before);
    snapback.close();
  });

  test('a source that is shorter than its list fails', async () => {
    const source = new MemoryDevice(NEW.subarray(0, SIZE / 2), { path: '/dev/short' });
    const { outcome } = await run({ source });
    assert.match(String(outcome), /\/dev\/short: read error at byte/);
  });

  test('a signal stops it between batches, and what was written is reported', async () => {
    const controller = new AbortController();
    let batches = 0;
    const onProgress = (): void => {
      if (++batches === 3) controller.abort('SIGTERM');
    };
    const { destination, stage, outcome } = await run({ controller, onProgress });
    assert.equal(outcome, undefined);
    const extents = written(destination);
    assert.ok(stage.writtenBytes > 0 && stage.writtenBytes < CHANGED_BYTES);
    assert.equal(
      stage.writtenBytes,
      extents.reduce((sum, [, length]) => sum + length, 0),
    );
    assert.ok(destination.content.equals(changedAt(extents)));
  });

  test('a signal that came before it writes nothing', async () => {
    const controller = new AbortController();
    controller.abort('SIGINT');
    const { stage, destination } = await run({ controller });
    assert.deepEqual([stage.begun, stage.writtenBytes, destination.done.length], [false, 0, 0]);
  });
});

interface ApplyRun {
  readonly destination?: MemoryDevice;
  readonly snapback?: Snapback;
  readonly controller?: AbortController;
  readonly onProgress?: (doneBytes: number) => void;
  /** Instead of that of the file. */
  readonly fd?: number;
  readonly destinationSize?: number;
}

async function runApply(path: string, given: ApplyRun) {
  const destination = given.destination ?? new MemoryDevice(Buffer.from(OLD), { before: dawdle });
  const pool = new CountingPool(2 * APPLY_DEPTH + 1, GROUP_SLAB_SIZE);
  const stage = new WriteStage(destination, given.snapback, pool);
  const { signal } = given.controller ?? new AbortController();
  const fd = given.fd ?? openSync(path, 'r');
  try {
    const reader = new ChangeReader(fd, path);
    const form = await reader.readForm();
    reader.begin(form, { deviceSize: destination.size, strict: true });
    const destinationSize = given.destinationSize ?? destination.size;
    const onProgress = given.onProgress ?? (() => undefined);
    const job = { reader, stage, pool, destinationSize, disjoint: true, signal, onProgress };
    const outcome = await apply(job).then(
      (leftOut) => ({ leftOut, error: undefined }),
      (error: unknown) => ({ leftOut: undefined, error }),
    );
    assert.equal(pool.leased, 0, 'every slab was given back');
    assert.ok(pool.mostLeased <= 2 * APPLY_DEPTH + 1);
    assert.ok(destination.mostRunning <= APPLY_DEPTH);
    return { destination, stage, reader, ...outcome };
  } finally {
    closeSync(fd);
  }
}

describe('an apply', () => {
  const groups: StreamRecord[][] = [];
  for (let at = 0; at < CHANGED.length; at += 16) {
    groups.push(
      CHANGED.slice(at, at + 16).map(([offset, length]) => ({
        offset,
        data: NEW.subarray(offset, offset + length),
      })),
    );
  }
  const path = join(folder, 'stream');
  const made = framedStream(path, { deviceSize: SIZE, sorted: true, groups });

  test('writes the groups and nothing else', async () => {
    await made;
    const slow = new MemoryDevice(Buffer.from(OLD), { before: () => sleep(5) });
    const { destination, error, leftOut, stage } = await runApply(path, { destination: slow });
    assert.deepEqual([error, leftOut], [undefined, 0]);
    assert.ok(destination.content.equals(changedAt(CHANGED)));
    assert.equal(stage.writtenBytes, CHANGED_BYTES);
    assert.ok(destination.mostRunning > 1, 'groups overlap');
  });

  test('writes no range before its former content is saved, and can be undone', async () => {
    await made;
    const snapback = await makeSnapback();
    const destination = new MemoryDevice(Buffer.from(OLD), watchSaves(snapback));
    const { error, stage } = await runApply(path, { destination, snapback });
    assert.equal(error, undefined);
    await stage.finish();
    assert.ok(destination.content.equals(changedAt(CHANGED)));
    assert.ok((await rolledBack(snapback.path, destination)).equals(OLD));
  });

  test('neighbouring records that make a long stretch are saved so that it can be undone', async () => {
    const all = [{ offset: 0, data: NEW.subarray(0, MiB) }];
    for (let at = MiB; at < 4 * MiB; at += MiB)
      all.push({ offset: at, data: NEW.subarray(at, at + MiB) });
    const long = join(folder, 'long-stretch');
    await framedStream(long, { deviceSize: SIZE, sorted: true, groups: [all] });
    const snapback = await makeSnapback();
    const destination = new MemoryDevice(Buffer.from(OLD));
    const { error, stage } = await runApply(long, { destination, snapback });
    assert.equal(error, undefined);
    await stage.finish();
    assert.ok(destination.content.equals(changedAt([[0, 4 * MiB]])));
    assert.ok((await rolledBack(snapback.path, destination)).equals(OLD));
  });

  for (const nth of [1, 3, 7]) {
    test(`ends with the failure of the ${nth}. write, after all that is under way`, async () => {
      await made;
      const error = failure('destinationWrite');
      const destination = new MemoryDevice(Buffer.from(OLD), failing('write', nth, error));
      const run = await runApply(path, { destination });
      assert.equal(run.error, error);
      assert.ok(destination.content.equals(changedAt(written(destination))));
    });
  }

  test('leaves out what lies beyond the size it is given, and counts it', async () => {
    await made;
    const destinationSize = SIZE / 2 - CHUNK / 2;
    const { destination, leftOut, error } = await runApply(path, { destinationSize });
    assert.equal(error, undefined);
    const fitting = CHANGED.flatMap(([offset, length]): Extents => {
      const size = Math.min(length, destinationSize - offset);
      return size > 0 ? [[offset, size]] : [];
    });
    assert.ok(destination.content.equals(changedAt(fitting)));
    assert.equal(leftOut, CHANGED_BYTES - fitting.reduce((sum, [, length]) => sum + length, 0));
  });

  test('a signal stops it between groups', async () => {
    await made;
    const controller = new AbortController();
    let reports = 0;
    const onProgress = (): void => {
      if (++reports === 2) controller.abort('SIGTERM');
    };
    const { destination, error, stage } = await runApply(path, { controller, onProgress });
    assert.equal(error, undefined);
    assert.ok(stage.writtenBytes > 0 && stage.writtenBytes < CHANGED_BYTES);
    assert.ok(destination.content.equals(changedAt(written(destination))));
  });

  test('a signal ends the wait for a sender that says nothing more', async () => {
    const { readFd, writeFd } = native.makePipe('ours');
    const writer = await ChangeWriter.framed(writeFd, {
      kind: 'wire',
      deviceSize: SIZE,
      sorted: true,
      totalBytes: undefined,
      attributes: {},
    });
    const slab = native.allocateSlab(4096);
    await writer.writeGroup(slab, Float64Array.of(0, 4096, 0));
    const controller = new AbortController();
    const onProgress = (): void => controller.abort('SIGTERM');
    const run = await runApply('the pipe', { fd: readFd, controller, onProgress });
    closeSync(writeFd);
    assert.equal(run.error, undefined);
    assert.equal(run.stage.writtenBytes, 4096);
  });
});

describe('a dump', () => {
  interface DumpRun {
    readonly source?: MemoryDevice;
    readonly fd?: number;
    readonly controller?: AbortController;
    readonly onProgress?: (doneBytes: number) => void;
  }

  async function run(given: DumpRun) {
    const path = join(folder, `dump-${files++}`);
    const source = given.source ?? new MemoryDevice(NEW, { before: dawdle });
    const fd = given.fd ?? openSync(path, 'w');
    const pool = new CountingPool(DUMP_DEPTH + 1, slabSizeFor(BATCH_LIMITS));
    const { signal } = given.controller ?? new AbortController();
    const writer = await ChangeWriter.classic(fd);
    const onProgress = given.onProgress ?? (() => undefined);
    const extents = changedList();
    const job = { source, extents, limits: BATCH_LIMITS, writer, pool, signal, onProgress };
    const error = await dump(job).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    if (given.fd === undefined) closeSync(fd);
    assert.equal(pool.leased, 0, 'every slab was given back');
    assert.ok(pool.mostLeased <= DUMP_DEPTH + 1);
    assert.ok(source.mostRunning <= DUMP_DEPTH);
    return { source, error, path };
  }

  function recordedIn(path: string): Extents {
    return dataRecordsOf(readFileSync(path)).map(({ offset, data }) => {
      assert.ok(data.equals(NEW.subarray(offset, offset + data.length)));
      return [offset, data.length];
    });
  }

  test('writes every extent with its content, in ascending order, however its reads end', async () => {
    const { error, path, source } = await run({});
    assert.equal(error, undefined);
    const extents = recordedIn(path);
    assert.deepEqual(joined(extents), joined(CHANGED));
    assert.deepEqual(
      extents,
      [...extents].sort(([a], [b]) => a - b),
    );
    assert.ok(source.mostRunning > 1, 'reads overlap');
  });

  for (const nth of [1, 2, 4, 6]) {
    test(`ends with the failure of the ${nth}. read, with the groups before it written`, async () => {
      const error = failure('sourceRead');
      const source = new MemoryDevice(NEW, failing('read', nth, error));
      const ended = await run({ source });
      assert.equal(ended.error, error);
      const extents = joined(recordedIn(ended.path));
      assert.equal(extents.length === 0, nth === 1);
    });
  }

  test('ends with the failure of the stream, after all that is under way', async () => {
    const { readFd, writeFd } = native.makePipe('ours');
    const onProgress = (): void => closeSync(readFd);
    // Somebody has to take the first group.
    const drain = new ChangeReader(readFd, 'drain');
    const drained = (async () => {
      drain.begin(await drain.readForm(), { deviceSize: SIZE, strict: false });
      await drain.next(native.allocateSlab(GROUP_SLAB_SIZE));
    })();
    let closed = false;
    const { error } = await run({
      fd: writeFd,
      onProgress: () => {
        if (!closed) void drained.then(onProgress, onProgress);
        closed = true;
      },
    });
    closeSync(writeFd);
    assert.ok(isNativeError(error));
    assert.equal(error.code, 'EPIPE');
  });

  test('a signal stops it between groups', async () => {
    const controller = new AbortController();
    const onProgress = (): void => controller.abort('SIGTERM');
    const { error, path } = await run({ controller, onProgress });
    assert.equal(error, undefined);
    const extents = recordedIn(path);
    assert.ok(extents.length > 0 && extents.length < CHANGED.length);
  });
});

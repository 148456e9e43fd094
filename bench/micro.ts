/** The inner loops alone, timed by the package `benchmark`. */

import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import Benchmark from 'benchmark';
import { FileDevice } from '../src/device/block-device.js';
import { BATCH_LIMITS, ExtentList, planBatches, slabSizeFor } from '../src/device/extent.js';
import { native } from '../src/host/native.js';
import { parseLvmConfig } from '../src/lvm/lvm-config.js';
import { ThinDumpScanner } from '../src/lvm/thin/thin-dump.js';
import { readOfflineStore } from '../src/source/thick-changes.js';
import { ChangeReader } from '../src/stream/change-reader.js';
import { GROUP_SLAB_SIZE } from '../src/stream/change-stream.js';
import { writeCowStore } from '../test/helpers/devices/cow-store.js';
import { dumpText } from '../test/helpers/lvm/thin-xml.js';
import { framedStream } from '../test/helpers/streams/stream-parts.js';

export interface MicroResult {
  readonly name: string;
  readonly unit: string;
  /** Units in a second. */
  readonly rate: number;
  /** Of the mean, in per cent, as `benchmark` estimates it. */
  readonly errorPercent: number;
}

interface Loop {
  readonly name: string;
  readonly unit: string;
  /** Units in one turn. */
  readonly units: number;
  readonly turn: () => unknown;
}

const MIB = 2 ** 20;
const BLOCK = 4096;

/** Files go to `folder`, which should be in memory. */
export async function runMicro(folder: string, seconds: number): Promise<MicroResult[]> {
  const loops = [
    await exceptionDecode(folder),
    extentCoalescing(),
    framing(),
    await streamParse(folder),
    xmlScan(),
    lvmText(),
  ];
  const results: MicroResult[] = [];
  for (const loop of loops) results.push(await measure(loop, seconds));
  return results;
}

/** The types of the package know nothing of what a deferred test is given. */
interface Deferred {
  resolve(): void;
}

function measure({ name, unit, units, turn }: Loop, seconds: number): Promise<MicroResult> {
  return new Promise((resolve, reject) => {
    const run = async (deferred: Deferred): Promise<void> => {
      try {
        await turn();
        deferred.resolve();
      } catch (error) {
        reject(error);
      }
    };
    const bench = new Benchmark(name, {
      defer: true,
      maxTime: seconds,
      fn: run as unknown as () => void,
      onComplete: () => {
        const { hz, stats } = bench;
        resolve({ name, unit, rate: hz * units, errorPercent: stats.rme });
      },
    });
    bench.run({ async: true });
  });
}

async function exceptionDecode(folder: string): Promise<Loop> {
  const count = 1_000_000;
  const path = join(folder, 'micro.cow');
  const oldChunks = Array.from({ length: count }, (_, i) => 2 * ((i * 7919) % count));
  writeCowStore(path, { chunkSize: BLOCK, oldChunks });
  const store = await FileDevice.open(path, { role: 'cowStore' });
  const turn = (): Promise<unknown> => readOfflineStore(store, 2 * count * BLOCK);
  return {
    name: 'exception decode, from a file in memory',
    unit: 'exceptions',
    units: count,
    turn,
  };
}

function extentCoalescing(): Loop {
  const count = 1_000_000;
  const pairs = new Float64Array(2 * count);
  for (let i = 0; i < count; i++) pairs.set([2 * i * BLOCK, BLOCK], 2 * i);
  const extents = new ExtentList(pairs);
  const turn = (): void => {
    for (const batch of planBatches(extents, BATCH_LIMITS)) {
      if (batch.bytes === 0) throw new Error('an empty batch');
    }
  };
  return { name: 'batches out of extents', unit: 'extents', units: count, turn };
}

const OPERATIONS = 512;

function operations(): Float64Array {
  const triples = Array.from({ length: OPERATIONS }, (_, i) => [2 * i * BLOCK, BLOCK, i * BLOCK]);
  return Float64Array.from(triples.flat());
}

function framing(): Loop {
  const slab = native.allocateSlab(slabSizeFor(BATCH_LIMITS));
  const group = operations();
  const fd = openSync('/dev/null', 'w');
  const writer = new native.RecordWriter(fd, new Uint8Array(16));
  const turn = (): Promise<void> => writer.writeGroup(slab, group, true, -1);
  const units = (OPERATIONS * BLOCK) / MIB;
  return { name: 'framing and hashing, 4 KiB records', unit: 'MiB', units, turn };
}

async function streamParse(folder: string): Promise<Loop> {
  const groups = Array.from({ length: 32 }, (_, group) =>
    Array.from({ length: OPERATIONS }, (_, i) => ({
      offset: 2 * (group * OPERATIONS + i) * BLOCK,
      data: Buffer.alloc(BLOCK, i),
    })),
  );
  const path = join(folder, 'micro.stream');
  const deviceSize = 2 * groups.length * OPERATIONS * BLOCK;
  await framedStream(path, { deviceSize, sorted: true, groups });
  const slab = native.allocateSlab(GROUP_SLAB_SIZE);
  const turn = async (): Promise<void> => {
    const fd = openSync(path, 'r');
    const reader = new ChangeReader(fd, path);
    reader.begin(await reader.readForm(), { deviceSize, strict: true });
    while ((await reader.next(slab)) !== undefined);
    closeSync(fd);
  };
  const units = (groups.length * OPERATIONS * BLOCK) / MIB;
  return { name: 'reading and checking a stream, 4 KiB records', unit: 'MiB', units, turn };
}

function xmlScan(): Loop {
  const runs = Array.from({ length: 100_000 }, (_, i) => [2 * i, 3 * i, 1] as const);
  const text = Buffer.from(dumpText({ deviceId: 1, runs }));
  const turn = (): void => {
    const scanner = new ThinDumpScanner(1);
    let found = 0;
    for (let at = 0; at < text.length; at += 65_536) {
      for (const batch of scanner.push(text.subarray(at, at + 65_536))) found += batch.runs.length;
    }
    for (const batch of scanner.end()) found += batch.runs.length;
    if (found !== 3 * runs.length) throw new Error(`${found / 3} runs`);
  };
  return { name: 'scan of thin_dump XML', unit: 'MiB', units: text.length / MIB, turn };
}

function lvmText(): Loop {
  const count = 5000;
  const volume = (n: number): string =>
    `lv${n} {\nid = "x-${n}"\nstatus = ["READ", "WRITE", "VISIBLE"]\nflags = []\nsegment_count = 1\n` +
    `segment1 {\nstart_extent = 0\nextent_count = 25\ntype = "striped"\nstripe_count = 1\n` +
    `stripes = [\n"pv0", ${n * 25}\n]\n}\n}\n`;
  const text = `vg {\nlogical_volumes {\n${Array.from({ length: count }, (_, n) => volume(n)).join('\n')}}\n}\n`;
  const turn = (): unknown => parseLvmConfig(text);
  return { name: 'LVM metadata text', unit: 'volumes', units: count, turn };
}

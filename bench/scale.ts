/**
 * What a change list of very many exceptions costs: stores of up to 100 million, which a run decodes as
 * it would a snapshot's. Only their lists are written; the data between them are holes.
 *
 * The child of this module, `node scale.js STORE ORIGIN_SIZE`, decodes one and prints what it found.
 */

import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { FileDevice } from '../src/device/block-device.js';
import { readOfflineStore } from '../src/source/thick-changes.js';

const CHUNK = 4096;
const ENTRIES = CHUNK / 16;
const MAGIC = 0x70416e53;
const TIB = 2 ** 40;

export interface ScaleResult {
  readonly exceptions: number;
  readonly originTiB: number;
  readonly extents: number;
  /** Of the decoding alone. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
  /** Peak memory above that of an empty list, to the exceptions. */
  readonly bytesPerException: number;
}

/** `path` is used for one store after the other; it needs 17 bytes for each exception. */
export function runScale(path: string, counts: readonly number[]): ScaleResult[] {
  const originTiB = 16;
  const empty = decodeInChild(path, 1, originTiB);
  return counts.map((count) => {
    const found = decodeInChild(path, count, originTiB);
    const bytesPerException = ((found.peakMiB - empty.peakMiB) * 2 ** 20) / count;
    return { ...found, originTiB, bytesPerException };
  });
}

type Decoded = Omit<ScaleResult, 'originTiB' | 'bytesPerException'>;

function decodeInChild(path: string, count: number, originTiB: number): Decoded {
  writeStore(path, count, originTiB * TIB);
  try {
    const words = [fileURLToPath(import.meta.url), path, String(originTiB * TIB)];
    const found = JSON.parse(execFileSync(process.execPath, words, { encoding: 'utf8' }));
    if (found.exceptions !== count) throw new Error(`${found.exceptions} of ${count} exceptions`);
    return found;
  } finally {
    rmSync(path);
  }
}

/** Exceptions spread over the whole origin, each in a chunk of its own, in no order. */
function writeStore(path: string, count: number, originSize: number): void {
  const fd = openSync(path, 'w');
  const header = Buffer.alloc(16);
  for (const [index, word] of [MAGIC, 1, 1, CHUNK / 512].entries()) {
    header.writeUInt32LE(word, 4 * index);
  }
  writeSync(fd, header, 0, header.length, 0);
  const areas = Math.floor(count / ENTRIES) + 1;
  const entries = new Uint32Array(CHUNK / 4);
  const step = Math.floor(originSize / CHUNK / count);
  for (let area = 0; area < areas; area++) {
    const first = 1 + area * (ENTRIES + 1);
    entries.fill(0);
    for (let i = 0; i < ENTRIES && area * ENTRIES + i < count; i++) {
      const old = permuted(area * ENTRIES + i, count) * step;
      entries[4 * i] = old;
      entries[4 * i + 1] = Math.floor(old / 2 ** 32);
      entries[4 * i + 2] = first + 1 + i;
    }
    writeSync(fd, entries, 0, CHUNK, first * CHUNK);
  }
  ftruncateSync(fd, (1 + areas * (ENTRIES + 1)) * CHUNK);
  closeSync(fd);
}

/** A different number below `count` for each: steps of a prime that does not divide it. */
function permuted(index: number, count: number): number {
  return (index * 7_368_787) % count;
}

async function decode(path: string, originSize: number): Promise<void> {
  const device = await FileDevice.open(path, { role: 'cowStore' });
  const [before, cpuBefore] = [performance.now(), process.cpuUsage()];
  const { exceptions, extents } = await readOfflineStore(device, originSize);
  const { user, system } = process.cpuUsage(cpuBefore);
  const seconds = (performance.now() - before) / 1000;
  const [, peak = ''] = /VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  await device.close();
  const cpuSeconds = (user + system) / 1e6;
  const found = { exceptions, extents: extents.count, seconds, cpuSeconds };
  console.log(JSON.stringify({ ...found, peakMiB: Number(peak) / 1024 }));
}

if (argv[1] === fileURLToPath(import.meta.url)) await decode(argv[2] ?? '', Number(argv[3]));

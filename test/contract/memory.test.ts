/** How much memory a run takes, whatever the size of its devices. */

import assert from 'node:assert/strict';
import {
  closeSync,
  openSync,
  readFileSync,
  readSync,
  statfsSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeCowStore } from '../helpers/devices/cow-store.js';
import { assertSucceeds, CLI, type CliOptions, runTool } from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const MiB = 1024 * 1024;
const SIZE = 2048 * MiB;
const CHUNK = 4096;
/** 452 MiB, scattered. */
const CHANGED = (452 * MiB) / CHUNK;
const LIMIT_MIB = 150;
/** Data, destination, stream and two snapbacks. */
const SPACE_NEEDED = 3 * 1024 * MiB;

const { bavail, bsize } = statfsSync('/dev/shm');
const skip = bavail * bsize < SPACE_NEEDED ? 'it needs 3 GiB of space in /dev/shm' : false;

describe('the peak memory for 452 MiB of changes in 2 GiB', { skip }, () => {
  const folder = scratchFolder('memory');
  const random = new Random();
  const data = join(folder, 'data');
  const cowStore = join(folder, 'cow');
  const stream = join(folder, 'stream');
  const source = ['--cow-store', cowStore, '--data-source', data];
  let chunks: number[] = [];

  before(() => {
    chunks = random.distinct(CHANGED, SIZE / CHUNK);
    writeCowStore(cowStore, { chunkSize: CHUNK, oldChunks: chunks });
    const fd = openSync(data, 'w');
    for (const chunk of chunks.slice(0, 1000)) writeSync(fd, mark(chunk), 0, 100, chunk * CHUNK);
    closeSync(fd);
    truncateSync(data, SIZE);
  });

  function mark(chunk: number): Buffer {
    return Buffer.alloc(100, `chunk ${chunk} `);
  }

  function emptyDestination(name: string): string {
    const path = join(folder, name);
    closeSync(openSync(path, 'w'));
    truncateSync(path, SIZE);
    return path;
  }

  function peakMiB(words: readonly string[], options: CliOptions = {}): number {
    const preload = fileURLToPath(new URL('../helpers/program/report-peak.js', import.meta.url));
    const report = join(folder, 'peak');
    const env = { ...process.env, PEAK_FILE: report };
    const argv = [process.execPath, '--import', preload, CLI, ...words];
    assertSucceeds(runTool(argv, { ...options, env }));
    return Number(readFileSync(report, 'utf8')) / 1024;
  }

  function assertMarked(path: string): void {
    const fd = openSync(path, 'r');
    for (const chunk of chunks.slice(0, 1000)) {
      const found = Buffer.alloc(100);
      readSync(fd, found, 0, 100, chunk * CHUNK);
      assert.ok(found.equals(mark(chunk)), `chunk ${chunk}`);
    }
    closeSync(fd);
  }

  function assertBelow(peak: number): void {
    assert.ok(peak > 10 && peak < LIMIT_MIB, `${peak.toFixed(1)} MiB`);
  }

  test('of a sync with a snapback is below 150 MiB', (context) => {
    const destination = emptyDestination('synced');
    const peak = peakMiB([...source, '--snapback', join(folder, 'snapback-1'), destination]);
    context.diagnostic(`${peak.toFixed(1)} MiB`);
    assertMarked(destination);
    assertBelow(peak);
  });

  test('of writing the stream, and of applying it with a snapback, is below 150 MiB', (context) => {
    const output = openSync(stream, 'w');
    const dumping = peakMiB([...source, '--stdout'], { stdio: ['ignore', output, 'pipe'] });
    closeSync(output);
    const destination = emptyDestination('applied');
    const snapback = join(folder, 'snapback-2');
    const applying = peakMiB(['--apply', stream, '--snapback', snapback, destination]);
    context.diagnostic(`${dumping.toFixed(1)} MiB, ${applying.toFixed(1)} MiB`);
    assertMarked(destination);
    assertBelow(dumping);
    assertBelow(applying);
  });
});

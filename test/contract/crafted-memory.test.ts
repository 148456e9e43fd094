/** Streams that are made to take memory: how much of it they get. */

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { native } from '../../src/host/native.js';
import { ChangeWriter } from '../../src/stream/change-writer.js';
import { assertFails, CLI, type CliResult, runTool } from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';

const SIZE = 16 * 1024 * 1024;
const RECORDS = 1_500_000;
const IN_GROUP = 1000;
/** That of any run is below 150 (contract/memory). */
const LIMIT_MIB = 130;

const folder = scratchFolder();
const PRELOAD = fileURLToPath(new URL('../helpers/program/report-peak.js', import.meta.url));

/** Every second byte is a record of its own. */
async function writeCrumbs(path: string, sorted: boolean): Promise<void> {
  const fd = openSync(path, 'w');
  const facts = { kind: 'file', deviceSize: SIZE, totalBytes: undefined, attributes: {} } as const;
  const writer = await ChangeWriter.framed(fd, { ...facts, sorted });
  const slab = native.allocateSlab(4096);
  const operations = new Float64Array(3 * IN_GROUP);
  for (let at = 0; at < RECORDS; at += IN_GROUP) {
    for (let i = 0; i < IN_GROUP; i++) {
      const offset = 2 * (at + i);
      operations.set([offset, 1, offset % 4096], 3 * i);
    }
    await writer.writeGroup(slab, operations);
  }
  await writer.end({ sourceChanged: false });
  closeSync(fd);
}

function apply(stream: string, ...options: string[]): { result: CliResult; peakMiB: number } {
  const destination = join(folder, 'destination');
  closeSync(openSync(destination, 'w'));
  truncateSync(destination, SIZE);
  const report = join(folder, 'peak');
  const env = { ...process.env, PEAK_FILE: report };
  const words = ['--apply', stream, ...options, destination];
  const result = runTool([process.execPath, '--import', PRELOAD, CLI, ...words], { env });
  return { result, peakMiB: Number(readFileSync(report, 'utf8')) / 1024 };
}

describe('F37: a stream of very many records of one byte', () => {
  const [anyOrder, ascending] = [join(folder, 'any-order'), join(folder, 'ascending')];
  before(async () => {
    await writeCrumbs(anyOrder, false);
    await writeCrumbs(ascending, true);
  });

  const runs: readonly [what: string, stream: string, options: readonly string[]][] = [
    ['is refused before it takes much memory', anyOrder, []],
    ['in order is refused where a snapback is kept', ascending, ['-b', join(folder, 'undo')]],
  ];
  for (const [what, stream, options] of runs) {
    test(what, (context) => {
      const { result, peakMiB } = apply(stream, ...options);
      context.diagnostic(`${peakMiB.toFixed(1)} MiB`);
      assertFails(result, 15, /too many scattered .* smaller than a page/);
      assert.ok(peakMiB > 10 && peakMiB < LIMIT_MIB, `${peakMiB.toFixed(1)} MiB`);
    });
  }
});

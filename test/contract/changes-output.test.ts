/** `lvmsync changes` of very many extents: the list arrives whole, or the status is not 0. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeCowStore } from '../helpers/devices/cow-store.js';
import { assertFails, assertSucceeds, CLI, lvmsync, runTool } from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';

const CHUNK = 4096;
const folder = scratchFolder();

/** Longer than a pipe and several writes: every second chunk, so that none is joined with the next. */
const MANY = 50_000;
const long = {
  data: join(folder, 'long'),
  cowStore: join(folder, 'long-cow'),
};
writeFileSync(long.data, '');
truncateSync(long.data, 2 * MANY * CHUNK);
writeCowStore(long.cowStore, {
  chunkSize: CHUNK,
  oldChunks: Array.from({ length: MANY }, (_, index) => 2 * (MANY - 1 - index)),
});
const LONG = ['--cow-store', long.cowStore, '--data-source', long.data];

describe('a long list', () => {
  test('is whole in a file, a pipe, and as a document', () => {
    const expected = Array.from(
      { length: MANY },
      (_, index) => `${2 * index * CHUNK} ${CHUNK} data\n`,
    );
    const file = join(folder, 'list');
    assertSucceeds(lvmsync(['changes', ...LONG], { stdoutFile: file }));
    assert.ok(readFileSync(file, 'utf8') === expected.join(''));
    assert.ok(lvmsync(['changes', ...LONG]).stdout.toString() === expected.join(''));
    const { stdout } = lvmsync(['changes', '--output', 'json', ...LONG]);
    const { extents, dataBytes } = JSON.parse(stdout.toString());
    assert.deepEqual([extents.length, dataBytes], [MANY, MANY * CHUNK]);
    assert.deepEqual(extents.at(-1), {
      offset: 2 * (MANY - 1) * CHUNK,
      length: CHUNK,
      kind: 'data',
    });
  });

  test('is never in memory as text', (context) => {
    const count = 1_000_000;
    const data = join(folder, 'million');
    const cowStore = join(folder, 'million-cow');
    const report = join(folder, 'peak');
    const list = join(folder, 'million.json');
    writeFileSync(data, '');
    truncateSync(data, 2 * count * CHUNK);
    const oldChunks = Array.from({ length: count }, (_, index) => 2 * index);
    writeCowStore(cowStore, { chunkSize: CHUNK, oldChunks });
    const preload = fileURLToPath(new URL('../helpers/program/report-peak.js', import.meta.url));
    const words = ['--output', 'json', '--cow-store', cowStore, '--data-source', data];
    const argv = [process.execPath, '--import', preload, CLI, 'changes', ...words];
    const stdout = openSync(list, 'w');
    try {
      const env = { ...process.env, PEAK_FILE: report };
      assertSucceeds(runTool(argv, { env, stdio: ['ignore', stdout, 'pipe'] }));
    } finally {
      closeSync(stdout);
    }
    const peakMiB = Number(readFileSync(report, 'utf8')) / 1024;
    context.diagnostic(`${peakMiB.toFixed(1)} MiB for ${statSync(list).size} bytes`);
    assert.ok(statSync(list).size > 50_000_000);
    assert.ok(peakMiB > 10 && peakMiB < 160, `${peakMiB.toFixed(1)} MiB`);
    for (const path of [data, cowStore, list]) rmSync(path);
  });
});

describe('standard output that does not take the list', () => {
  const FORMS = [[], ['--output', 'json'], ['--summary']];

  for (const words of FORMS) {
    test(`ends it with 13: full (${words.join(' ') || 'text'})`, () => {
      const fd = openSync('/dev/full', 'w');
      try {
        const stdio = ['ignore', fd, 'pipe'] as ('ignore' | 'pipe' | number)[];
        const result = lvmsync(['changes', ...words, ...LONG], { stdio });
        assertFails(result, 13, /^FATAL ERROR: standard output: write error at byte 0 \(ENOSPC/);
        assert.match(result.stderr, /^The list is incomplete\.$/m);
      } finally {
        closeSync(fd);
      }
    });

    test(`ends it with 13: closed (${words.join(' ') || 'text'})`, () => {
      const argv = ['sh', '-c', 'exec "$@" >&-', 'sh', process.execPath, CLI, 'changes'];
      const result = runTool([...argv, ...words, ...LONG]);
      assertFails(
        result,
        13,
        /^FATAL ERROR: standard output is closed, .*: the list would be lost/,
      );
    });
  }

  test('but /dev/null takes it', () => {
    const argv = ['sh', '-c', 'exec "$@" >/dev/null', 'sh', process.execPath, CLI, 'changes'];
    assertSucceeds(runTool([...argv, ...LONG]));
  });

  test('ends it with 13: a reader that stops', async () => {
    const words = [CLI, 'changes', ...LONG];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [status] = await once(child, 'close');
    assertFails(
      { status, stderr },
      13,
      /^FATAL ERROR: standard output: its reader stopped reading at byte \d+ \(EPIPE\)/,
    );
  });

  test('waits for a slow reader; a signal ends that', async () => {
    const child = spawn(process.execPath, [CLI, 'changes', ...LONG], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    await once(child.stdout, 'readable');
    child.kill('SIGTERM');
    const [status] = await once(child, 'exit');
    child.stdout.destroy();
    assert.equal(status, 143, stderr);
    assert.match(stderr, /interrupted by SIGTERM\nThe list is incomplete\.\n/);
  });
});

/** `lvmsync changes` with a COW store in a file: what it lists, and what it refuses. */

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { offlineSource } from '../helpers/devices/offline-source.js';
import { assertFails, assertSucceeds, canTrace, lvmsync } from '../helpers/program/cli.js';
import { tracedLvmsync } from '../helpers/program/traced-cli.js';
import { scratchFolder } from '../helpers/scratch.js';

const CHUNK = 4096;
const folder = scratchFolder();
const source = offlineSource(folder, { changedChunks: [9, 3, 4, 5, 255] });
const EXTENTS = [
  [3 * CHUNK, 3 * CHUNK],
  [9 * CHUNK, CHUNK],
  [255 * CHUNK, CHUNK],
] as const;
const LINES = EXTENTS.map(([offset, length]) => `${offset} ${length} data\n`).join('');

function changes(...words: string[]) {
  return lvmsync(['changes', ...source.words, ...words]);
}

describe('the list of what changed', () => {
  test('has a line for each extent, in ascending order, and nothing else is said', () => {
    const { status, stdout, stderr } = changes();
    assert.deepEqual(
      { status, stdout: String(stdout), stderr },
      { status: 0, stdout: LINES, stderr: '' },
    );
  });

  test('is the one that a sync moves: a dry run has the same figures', () => {
    const bytes = EXTENTS.reduce((sum, [, length]) => sum + length, 0);
    const { stderr } = lvmsync(['--dry-run', '--stdout', ...source.words]);
    assert.match(stderr, new RegExp(`\\(${bytes} bytes\\) in ${EXTENTS.length} extents`));
    assert.match(
      changes('--summary').stdout.toString(),
      new RegExp(`\\(${bytes} bytes\\) in 3 extents`),
    );
  });

  test('is one document under --output json, and under --json', () => {
    for (const words of [['--output', 'json'], ['--json']]) {
      const result = changes(...words);
      assertSucceeds(result);
      const { listedAt, program, ...document } = JSON.parse(result.stdout.toString());
      assert.ok(Math.abs(Date.parse(listedAt) - Date.now()) < 600_000);
      assert.match(program, /^lvmsync /);
      assert.deepEqual(document, {
        version: 1,
        device: source.data,
        deviceSize: source.content.length,
        chunkSize: CHUNK,
        from: null,
        to: null,
        dataBytes: 5 * CHUNK,
        zeroBytes: 0,
        extents: EXTENTS.map(([offset, length]) => ({ offset, length, kind: 'data' })),
      });
    }
  });

  test('is summed up by --summary, also as a document', () => {
    const result = changes('--summary');
    assertSucceeds(result);
    assert.match(
      result.stdout.toString(),
      /^ {2}snapshot {4}.* --size 1M, with chunks of 4\.0 KiB$/m,
    );
    const { stdout } = changes('--summary', '--output', 'json');
    const { dataExtents, lengths, snapshotSize } = JSON.parse(stdout.toString());
    assert.deepEqual(
      { dataExtents, lengths, snapshotSize },
      {
        dataExtents: 3,
        lengths: [
          { from: CHUNK, extents: 2, bytes: 2 * CHUNK },
          { from: 2 * CHUNK, extents: 1, bytes: 3 * CHUNK },
        ],
        snapshotSize: (5 + 1 + 4) * CHUNK,
      },
    );
  });

  test('opens nothing for writing', {
    skip: !canTrace() && 'strace does not work here',
  }, async () => {
    const calls = ['openat', 'open', 'creat', 'mkdir', 'rename', 'unlink', 'ftruncate', 'pwrite64'];
    const words = ['changes', ...source.words];
    const before = statSync(source.data).mtimeMs;
    const { trace, status, stderr } = await tracedLvmsync(words, {
      ...{ paths: [], calls, output: join(folder, 'trace') },
    });
    assert.equal(status, 0, stderr);
    assert.ok(trace.includes(source.cowStore), 'the trace sees the source');
    const opened = trace.split('\n').filter((line) => line.includes(folder));
    assert.deepEqual(
      opened.filter((line) => !line.includes('O_RDONLY') && !line.includes('resumed')),
      [],
    );
    assert.equal(statSync(source.data).mtimeMs, before);
  });
});

describe('a source that a run refuses', () => {
  const damaged = join(folder, 'damaged');
  writeFileSync(damaged, readFileSync(source.cowStore).fill(0xff, CHUNK, CHUNK + 8));
  const cases: readonly [string, number, readonly string[]][] = [
    ['no COW store', 10, ['--cow-store', source.data, '--data-source', source.data]],
    ['a damaged COW store', 10, ['--cow-store', damaged, '--data-source', source.data]],
    ['a COW store that is not there', 10, ['--cow-store', '/nowhere', '-r', source.data]],
    ['a snapshot that is not there', 1, ['/dev/nowhere/snap']],
  ];
  for (const [title, status, words] of cases) {
    test(`is refused with the same words: ${title}`, () => {
      const listed = lvmsync(['changes', ...words]);
      const dry = lvmsync(['--dry-run', '--stdout', ...words]);
      assertFails(listed, status, /./);
      assert.deepEqual([listed.status, listed.stderr], [dry.status, dry.stderr]);
      assert.equal(listed.stdout.length, 0);
    });
  }

  test('fails as an object under --json', () => {
    const { stdout, stderr } = lvmsync([
      'changes',
      '--json',
      '--cow-store',
      '/nowhere',
      '-r',
      '/x',
    ]);
    const { type, exitStatus } = JSON.parse(stderr);
    assert.deepEqual([type, exitStatus, stdout.length], ['fatal', 10, 0]);
  });

  test('is one that standard output would change', () => {
    const fd = openSync(source.data, 'a');
    try {
      const stdio = ['ignore', fd, 'pipe'] as ('ignore' | 'pipe' | number)[];
      const result = lvmsync(['changes', ...source.words], { stdio });
      assertFails(result, 12, /^FATAL ERROR: standard output is the data source/);
    } finally {
      closeSync(fd);
    }
    assert.ok(readFileSync(source.data).equals(source.content));
  });
});

describe('words that make no sense', () => {
  for (const [words, message] of [
    [['--output', 'borg-map'], /--data-source cannot be used with --output borg-map/],
    [['--output', 'xml'], /--output: expected "text" or "json" or "borg-map"/],
    [['--since', 'vg/old'], /--since cannot be used with --cow-store/],
    [['--require-quiet'], /--require-quiet cannot be used with changes/],
    [['more'], /too many operands: "more"/],
  ] as const) {
    test(`are refused: ${words.join(' ')}`, () => {
      const result = changes(...words);
      assertFails(result, 1, message);
      assert.equal(result.stdout.length, 0);
    });
  }
});

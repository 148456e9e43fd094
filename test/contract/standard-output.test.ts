/** Standard output and standard error that take nothing: the status tells, and one line says why. */

import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const source = offlineSource(folder, { changedChunks: [3, 4, 5] });
const copy = join(folder, 'copy.img');
const undo = join(folder, 'undo');
writeFileSync(copy, source.former);
assertSucceeds(lvmsync([...source.words, '--snapback', undo, copy]));
const nothingYet = { point: null, last: null, pruned: null, doing: null, undone: null };
const destination = { identity: null, path: copy, size: source.former.length };
writeFileSync(
  join(folder, 'chain.json'),
  JSON.stringify({ version: 1, destination, ...nothingYet }),
);

/** With /dev/full as that descriptor. */
function full(descriptor: 1 | 2, words: readonly string[]): CliResult {
  const fd = openSync('/dev/full', 'w');
  const stdio = descriptor === 1 ? ['ignore', fd, 'pipe'] : ['ignore', 'pipe', fd];
  try {
    return lvmsync(words, { stdio: stdio as ('ignore' | 'pipe' | number)[] });
  } finally {
    closeSync(fd);
  }
}

/** As a shell starts it: `redirection` closes descriptors. */
function shell(redirection: string, words: readonly string[]): CliResult {
  const argv = ['sh', '-c', `exec "$@" ${redirection}`, 'sh', process.execPath, CLI];
  return runTool([...argv, ...words]);
}

const PRINTING: readonly (readonly string[])[] = [
  ['--help'],
  ['--version'],
  ['inspect', undo],
  ['inspect', '--json', undo],
  ['chain', folder],
  ['chain', '--json', folder],
  ['doctor'],
  ['doctor', '--json'],
  ['status'],
  ['status', '--json'],
  ['verify', ...source.words, copy],
  ['verify', '--json', ...source.words, copy],
  ['--dry-run', ...source.words, copy],
];

describe('F39: standard output that is full', () => {
  for (const words of PRINTING) {
    test(`ends "${words.slice(0, 2).join(' ')}" with status 13 and the reason`, () => {
      const result = full(1, words);
      if (words[0] === 'verify' && words[1] === '--json') {
        const { message } = JSON.parse(result.stderr.trim().split('\n').at(-1) ?? '');
        assert.deepEqual([result.status, /^standard output: ENOSPC/.test(message)], [13, true]);
      } else assertFails(result, 13, /^FATAL ERROR: standard output: ENOSPC: no space left/);
    });
  }

  test('ends a stream with status 13', () => {
    const result = full(1, [...source.words, '--stdout']);
    assertFails(result, 13, /standard output: write error at byte 0 \(ENOSPC/);
  });
});

describe('F39: standard output that is closed', () => {
  test('is refused for a stream, which would be lost', () => {
    const result = shell('>&-', [...source.words, '--stdout']);
    assertFails(result, 1, /standard output is closed, .*: the change stream would be lost/);
    assertSucceeds(shell('>/dev/null', [...source.words, '--stdout']));
    assertSucceeds(shell('>&-', ['--dry-run', ...source.words, '--stdout']));
  });

  for (const words of PRINTING) {
    test(`is no bug in lvmsync for "${words.slice(0, 2).join(' ')}"`, () => {
      const { status, stderr } = shell('>&-', words);
      assert.equal(status, lvmsync(words).status, stderr);
      assert.doesNotMatch(stderr, /unexpected|bug in lvmsync|^\s+at /m);
    });
  }
});

describe('F39: standard error that takes nothing', () => {
  const cases: readonly (readonly [words: readonly string[], status: number])[] = [
    [['--help'], 0],
    [['--version'], 0],
    [['inspect', undo], 0],
    [['--frobnicate'], 1],
    [['verify', ...source.words, '/nowhere'], 12],
    [[...source.words, copy], 0],
  ];
  for (const [words, status] of cases) {
    test(`does not change the status of "${words.slice(0, 2).join(' ')}"`, () => {
      assert.equal(full(2, words).status, status);
      assert.equal(shell('2>&-', words).status, status);
    });
  }

  test('nor is what was said there printed elsewhere, where both are full', () => {
    const argv = ['sh', '-c', 'exec "$@" >/dev/full 2>&1', 'sh', process.execPath, CLI];
    assert.equal(runTool([...argv, '--help']).status, 13);
    assert.equal(runTool([...argv, '--version']).status, 13);
  });
});

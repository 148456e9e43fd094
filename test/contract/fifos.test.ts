/** Fifos, and other files that can make an open or a write wait without an end. */

import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  lvmsync,
  runTool,
  startLvmsync,
} from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const CHUNKS = 1024;
/** More than a pipe holds. */
const source = offlineSource(folder, {
  size: CHUNKS * 4096,
  changedChunks: Array.from({ length: CHUNKS }, (_, chunk) => chunk),
});
let count = 0;

function fresh(): string {
  return join(folder, `file-${count++}`);
}

function copy(): string {
  const path = fresh();
  writeFileSync(path, source.former);
  return path;
}

function fifo(path = fresh()): string {
  assertSucceeds(runTool(['mkfifo', path]));
  return path;
}

/** A run that waits has to be killed: no other signal ends it while it opens something. */
function within(seconds: number, words: readonly string[]): CliResult {
  const limit = ['timeout', '-s', 'KILL', String(seconds)];
  return runTool([...limit, process.execPath, CLI, ...words]);
}

describe('F38: a snapback that is a fifo', () => {
  const ways: readonly [what: string, words: (undo: string, path: string) => string[]][] = [
    ['of a sync', (undo, path) => [...source.words, '--snapback', undo, path]],
    ['of an apply', (undo, path) => ['--apply', stream(), '--snapback', undo, path]],
  ];
  function stream(): string {
    const path = fresh();
    const fd = openSync(path, 'w');
    const result = lvmsync(['--stdout', ...source.words], { stdio: ['ignore', fd, 'pipe'] });
    closeSync(fd);
    assertSucceeds(result);
    return path;
  }

  for (const [what, words] of ways) {
    test(`${what} is refused where nobody reads it, and the destination is free again`, () => {
      const path = copy();
      assertFails(within(20, words(fifo(), path)), 16, /no process reads this fifo \(ENXIO\)/);
      assert.ok(readFileSync(path).equals(source.former));
      assertSucceeds(within(20, words('/dev/null', path)));
      assert.ok(readFileSync(path).equals(source.content));
    });

    test(`${what} does not keep a signal from ending the run while its reader reads nothing`, async () => {
      const undo = fifo();
      const reader = openSync(undo, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const run = startLvmsync(['-v', ...words(undo, copy())]);
        await run.waitFor(/I\/O through/);
        await sleep(500);
        run.child.kill('SIGTERM');
        const late = sleep(20_000, 'late', { ref: false });
        const ended = await Promise.race([run.ended, late]);
        run.child.kill('SIGKILL');
        assert.ok(typeof ended !== 'string', 'it ends');
        assertFails(ended, 143, /interrupted by SIGTERM/);
      } finally {
        closeSync(reader);
      }
    });
  }
});

describe('F38: a fifo in the place of', () => {
  test('the record of a chain is refused', () => {
    const chain = fresh();
    mkdirSync(chain, { mode: 0o700 });
    fifo(join(chain, 'chain.json'));
    const message = /chain\.json: cannot be read \(ENOTSUP\)/;
    assertFails(within(20, ['chain', chain]), 16, message);
    assertFails(within(20, ['rollback', '--steps', '1', copy(), chain]), 16, message);
    rmSync(chain, { recursive: true });
  });

  test('a file to inspect, and the file of --metrics, is refused', () => {
    const path = fifo();
    assertFails(within(20, ['inspect', path]), 1, /not a regular file/);
    const words = ['--metrics', path, ...source.words, copy()];
    assertFails(within(20, words), 1, /it is not a regular file/);
  });

  test('the source, or what a verify compares, is refused', () => {
    const path = fifo();
    assertFails(within(20, ['verify', ...source.words, path]), 12, /neither a block device nor/);
    const words = ['--cow-store', path, '--data-source', source.data, copy()];
    assertFails(within(20, words), 10, /neither a block device nor/);
  });
});

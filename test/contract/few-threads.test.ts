/** A limit on processes (TasksMax, pids.max, ulimit -u) counts threads, too. */

import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  runTool,
} from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
chmodSync(folder, 0o777);
const CHUNKS = 256;
const source = offlineSource(folder, {
  size: CHUNKS * 4096,
  changedChunks: Array.from({ length: CHUNKS }, (_, chunk) => chunk),
});
/** One that runs nothing else: the limit is on all processes of a user. */
const USER = 65_217;

/** With at most so many threads, those of Node among them: eight or so, and one for files. */
function limited(threads: number, ...words: string[]): CliResult {
  const user = ['setpriv', `--reuid=${USER}`, '--clear-groups'];
  const settings = ['env', 'LVMSYNC_IO_ENGINE=threads', 'UV_THREADPOOL_SIZE=1', `TMPDIR=${folder}`];
  const limit = ['prlimit', `--nproc=${threads}`];
  return runTool([...user, ...settings, ...limit, process.execPath, CLI, ...words]);
}

function missing(): string | false {
  if (process.getuid?.() !== 0) return 'only root can be another user';
  const { status, stderr } = limited(100, '--version');
  return status === 0 ? false : `another user cannot run the program: ${stderr.trim()}`;
}

const MOST = 24;

test('F40: a run goes on with the threads that it gets, or says that they are too few', {
  skip: missing(),
}, () => {
  const destination = join(folder, 'copy.img');
  const outcomes = new Map<number, 'done' | 'too few' | 'node'>();
  for (const threads of [MOST, 14, 12, 11, 10, 9, 8]) {
    writeFileSync(destination, source.former);
    chmodSync(destination, 0o666);
    const result = limited(threads, ...source.words, destination);
    assert.doesNotMatch(result.stderr, /terminate called/, `${threads} threads`);
    if (result.status === 0) {
      assert.ok(readFileSync(destination).equals(source.content), `${threads} threads`);
      outcomes.set(threads, 'done');
    } else if (result.status === 1) {
      assertFails(result, 1, /too few threads can be started \(Resource temporarily unavailable\)/);
      assert.match(result.stderr, /TasksMax/);
      outcomes.set(threads, 'too few');
      assertSucceeds(limited(100, ...source.words, destination));
    } else outcomes.set(threads, 'node');
  }
  const seen = [...outcomes].map(([threads, outcome]) => `${threads}: ${outcome}`).join(', ');
  assert.equal(outcomes.get(MOST), 'done', seen);
  assert.equal(outcomes.get(14), 'done', seen);
  assert.ok([...outcomes.values()].includes('too few'), seen);
});

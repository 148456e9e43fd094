/** The end of the process: nothing that Node still waits for may hold up a run whose work is done. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { offlineSource } from '../helpers/devices/offline-source.js';
import { CLI } from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const source = offlineSource(folder, { size: 4 * 2 ** 20, changedChunks: [1, 5, 7] });
const destination = join(folder, 'destination');
const stream = join(folder, 'stream');
writeFileSync(destination, source.former);

/** In Node's own event loop something that never ends, as a compiler thread that waits for Node can be. */
const NEVER_ENDS = '--import=data:text/javascript,setInterval(()=>undefined,1000)';
/** Without an end of its own it would take for ever. Milliseconds. */
const PATIENCE = 60_000;

const RUNS: readonly (readonly [string, readonly string[], number])[] = [
  ['a change stream that was written', [...source.words, '--stdout'], 0],
  ['a local sync', [...source.words, destination], 0],
  ['an apply', ['--apply', stream, destination], 0],
  ['a look into a file', ['inspect', stream], 0],
  ['a run that fails', ['--apply', destination, destination], 15],
];

describe('the process ends by itself', () => {
  for (const [what, words, status] of RUNS) {
    test(`after ${what}`, () => {
      const out = openSync(words.includes('--stdout') ? stream : '/dev/null', 'w');
      const result = spawnSync(process.execPath, [NEVER_ENDS, CLI, ...words], {
        stdio: ['ignore', out, 'pipe'],
        timeout: PATIENCE,
        killSignal: 'SIGKILL',
      });
      closeSync(out);
      assert.equal(result.signal, null, 'it did not end');
      assert.equal(result.status, status, String(result.stderr));
    });
  }
});

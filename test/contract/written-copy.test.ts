/** A copy that was written between a rollback and --redo: what was written is in no snapback. */

import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ChainLaboratory } from '../helpers/chain/chain-laboratory.js';
import { assertFails, assertSucceeds, type CliResult } from '../helpers/program/cli.js';
import { runInProcess } from '../helpers/program/in-process.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const spec = { size: 64 * 1024, chunkSize: 4096, turns: 2, changedChunks: 4 };

test('F45: --redo refuses a copy that was written since the rollback', async () => {
  const chain = new ChainLaboratory(join(scratchFolder(), 'written'), spec, new Random());
  await chain.advanceTo(2);
  const { destination } = chain;
  const rollback = (...words: string[]): Promise<CliResult> =>
    runInProcess(['rollback', ...words, destination, chain.chain]);
  assertSucceeds(await rollback('--steps', '1'));
  chmodSync(destination, 0o640);
  readFileSync(destination);
  assertSucceeds(await rollback('--redo'));
  chain.assertHolds(2, 'nothing had been written');

  const went = await rollback('--steps', '1');
  assertSucceeds(went);
  assert.match(went.stderr, /mount it with ro,norecovery, or mount a snapshot of it/);
  // A page that no turn wrote, as a mount writes its journal.
  const held = readFileSync(destination);
  const unchanged = Array.from({ length: 16 }, (_, page) => page * 4096).find((offset) => {
    const pageOf = (state: Buffer): Buffer => state.subarray(offset, offset + 4096);
    const [, one, two] = chain.states;
    return one && two && pageOf(one).equals(pageOf(two));
  });
  held.fill('journal ', unchanged, (unchanged ?? assert.fail()) + 4096);
  writeFileSync(destination, held);
  const refused = /something else wrote to it since the last run of this chain, such as a mount/;
  for (const more of [['--redo'], ['--redo', '--dry-run'], ['--steps', '1']]) {
    assertFails(await rollback(...more), 12, refused);
    assert.ok(readFileSync(destination).equals(held));
  }
  // A further rollback that is forced does not make it forgotten.
  assertSucceeds(await rollback('--steps', '1', '--force'));
  assertSucceeds(await rollback('--redo'));
  assertFails(await rollback('--redo'), 12, refused);
  assertSucceeds(await rollback('--redo', '--force'));
  const { point, incomplete } = chain.survey();
  assert.deepEqual([point?.uuid, incomplete], ['point-2', false]);
});

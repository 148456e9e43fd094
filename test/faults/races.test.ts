/** T15: several runs that want one destination at the same time. */

import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { UndoLaboratory } from '../helpers/faults/undo-laboratory.js';
import type { UndoableRun } from '../helpers/faults/undoable-run.js';
import { assertFails, assertSucceeds, CLI, type CliResult } from '../helpers/program/cli.js';
import { runInProcess } from '../helpers/program/in-process.js';
import { runProcess } from '../helpers/program/traced-cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const KiB = 1024;
const RUNS = 3;
const random = new Random();

interface Rival {
  readonly snapback: string;
  readonly result: CliResult;
}

/** Starts them within a few milliseconds, each with a snapback of its own. */
function startRivals(laboratory: UndoLaboratory, files: UndoableRun): Promise<Rival[]> {
  const kinds = laboratory.kinds.filter(({ name }) => name !== 'rollback');
  return Promise.all(
    Array.from({ length: RUNS }, async (_, number) => {
      const kind = kinds[random.below(kinds.length)];
      assert.ok(kind);
      const snapback = `${files.snapback}-${number}`;
      const words = kind.words(files).map((word) => (word === files.snapback ? snapback : word));
      await sleep(random.below(30));
      return { snapback, result: await runProcess(process.execPath, [CLI, ...words]) };
    }),
  );
}

/**
 * One that came while another was at work is refused and leaves nothing; those that did not meet all
 * succeed, and the snapback of the first of them is the one that holds the former content.
 */
async function judge(rivals: readonly Rival[], files: UndoableRun): Promise<void> {
  files.assertHolds('new', 'after all of them');
  const winners = rivals.filter(({ result }) => result.status === 0);
  assert.ok(winners.length > 0, 'one of them did it');
  for (const { snapback, result } of rivals) {
    if (result.status === 0) continue;
    assertFails(result, 19, /another (lvmsync is at work on it|run of lvmsync is writing it)/);
    assert.ok(!existsSync(snapback), 'a run that was refused made no snapback');
  }
  if (winners.length > 1) return;
  for (const { snapback } of winners) {
    assertSucceeds(await runInProcess(['--apply', snapback, files.destination]));
  }
  files.assertHolds('former', 'after the undo');
}

test('of runs that want one destination at once one works, and the others are refused', async (t) => {
  const campaign = new Campaign(t, 'T15 runs on one destination at once', random.seed);
  const rounds = campaignSize({ commit: 30, release: 2000 });
  const chunks = 512;
  const laboratory = new UndoLaboratory(scratchFolder(), {
    chunkSize: 16 * KiB,
    size: chunks * 16 * KiB,
    changedChunks: random.distinct(chunks / 2, chunks),
  });
  await laboratory.fill();
  const files = laboratory.lane(0);
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    files.reset();
    const rivals = await startRivals(laboratory, files);
    refused += rivals.filter(({ result }) => result.status === 19).length;
    await campaign.run(`round ${round}`, () => judge(rivals, files));
    for (const { snapback } of rivals) rmSync(snapback, { force: true });
  }
  assert.ok(refused > 0, 'some of them met');
  campaign.finish(rounds);
});

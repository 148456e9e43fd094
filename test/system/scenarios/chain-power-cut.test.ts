// T7: power cuts while a chain is worked on. A full copy, two turns, a rollback over both and the way
// forward again are recorded by dm-log-writes, below a volume group that holds both the destination and
// the file system of the chain; then states are looked at in which a power cut could have left that disk.

import { test } from 'node:test';
import { ChainLaboratory } from '../../helpers/chain/chain-laboratory.js';
import { type ChainWork, chainWorks, recover } from '../../helpers/chain/chain-works.js';
import { Campaign, campaignSize } from '../../helpers/faults/campaign.js';
import { assertSucceeds, lvmsync } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { crashStates, type LogEntry } from '../harness/log-writes.js';
import { LoggedGroup } from '../harness/logged-group.js';
import { KiB, MiB } from '../harness/lvm.js';

const SPEC = { size: MiB, chunkSize: 16 * KiB, turns: 2, changedChunks: 30 };

/** One after the other: each begins where the one before it ended. */
function works(): readonly ChainWork[] {
  const [copy, secondTurn, rollback, redo] = chainWorks(2, 0);
  const [, firstTurn] = chainWorks(1, 0);
  return [copy, firstTurn, secondTurn, rollback, redo].filter((work) => work !== undefined);
}

/** States that crashStates will give. */
function countStates(entries: readonly LogEntry[], between: number): number {
  return entries.reduce(
    (sum, { flush, fua, mark }) =>
      sum + (flush ? between : 0) + (flush || fua || mark !== undefined ? 1 : 0),
    0,
  );
}

test('a power cut at any moment loses no point of a chain', async (t) => {
  const random = new Random();
  const campaign = new Campaign(t, 'T7 power cuts (dm-log-writes), chain', random.seed);
  const wanted = campaignSize({ commit: 10, release: 500 });
  const between = campaignSize({ commit: 1, release: 6 });
  const files = new LoggedGroup(t, { copy: SPEC.size });
  const places = { destination: files.copy.path, chain: `${files.mountPoint}/chain` };
  const chain = new ChainLaboratory(`${scratchFolder()}/laboratory`, SPEC, random, places);
  const row = works();
  const words = await Promise.all(row.map((work) => work.words(chain)));
  const { image, entries } = files.record(chain.before, (mark) => {
    for (const [number, argv] of words.entries()) {
      assertSucceeds(lvmsync(argv));
      mark(`work-${number}`);
    }
  });
  const disk = files.crashDisk(image);
  const total = countStates(entries, between);
  const below = (limit: number): number => random.below(limit);
  // As many as are wanted, all as far apart: of states picked by chance there may be far fewer.
  let toNext = random.below(total);
  for (const state of crashStates(entries, image, { between, below })) {
    const work = row[state.marks.length];
    toNext -= wanted;
    if (toNext > 0) continue;
    toNext += total;
    if (work === undefined) continue;
    disk.become(state.image);
    files.mount();
    try {
      await campaign.run(`${work.name}, ${state.what}`, () => recover(work, chain, random));
    } finally {
      files.unmount();
    }
  }
  t.diagnostic(`${campaign.cases} of ${total} states`);
  campaign.finish(wanted / 4);
});

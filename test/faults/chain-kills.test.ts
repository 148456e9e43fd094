/** T5: turns, rollbacks and redos of a chain killed at any moment; then finished, undone, gone back over. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ChainLaboratory } from '../helpers/chain/chain-laboratory.js';
import { type ChainWork, chainWorks, recover } from '../helpers/chain/chain-works.js';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { inLanes, LANES } from '../helpers/lanes.js';
import { assertSucceeds, canTrace } from '../helpers/program/cli.js';
import { tracedLvmsync } from '../helpers/program/traced-cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const KiB = 1024;
const TURNS = 3;
const folder = scratchFolder();
const random = new Random();
const SPEC = { size: 1024 * KiB, chunkSize: 16 * KiB, turns: TURNS, changedChunks: 40 };
const lanes = Array.from(
  { length: LANES },
  (_, lane) => new ChainLaboratory(join(folder, `${lane}`), SPEC, random),
);

/** By these a run changes files and directories, and makes them durable. */
const CALLS = [
  ...['mkdir', 'rename', 'unlink', 'rmdir', 'ftruncate'],
  ...['writev', 'pwrite64', 'fdatasync', 'fsync'],
];

interface Kill {
  readonly call: string;
  /** strace counts the calls of each thread: the first that comes to its n-th dies before it. */
  readonly nth: number;
}

/** What a run of each kind makes of each call: as many as the thread that makes the most. */
async function observe(
  kinds: readonly ChainWork[],
): Promise<ReadonlyMap<string, readonly Kill[][]>> {
  const kills = new Map<string, readonly Kill[][]>();
  const chain = laneOf(0);
  for (const work of kinds) {
    await work.prepare(chain);
    const output = join(folder, 'trace');
    const tracing = { paths: [], calls: CALLS, output };
    const result = await tracedLvmsync(await work.words(chain), tracing);
    assertSucceeds(result);
    const byCall = CALLS.map((call) => killsBefore(call, result.trace));
    kills.set(
      work.name,
      byCall.filter(({ length }) => length > 0),
    );
  }
  return kills;
}

function killsBefore(call: string, trace: string): Kill[] {
  const counts = new Map<string, number>();
  for (const [, thread = ''] of trace.matchAll(new RegExp(`^(\\d+) +${call}\\(`, 'gm'))) {
    counts.set(thread, (counts.get(thread) ?? 0) + 1);
  }
  const most = Math.max(0, ...counts.values());
  return Array.from({ length: most }, (_, index) => ({ call, nth: index + 1 }));
}

/** Renames are few, and matter as much as writes: so first which call it is, then which of them. */
function killIn(calls: readonly Kill[][]): string {
  const ofCall = calls[random.below(calls.length)] ?? [];
  const kill = ofCall[random.below(ofCall.length)];
  assert.ok(kill, 'a call to be killed at');
  return `${kill.call}:signal=KILL:when=${kill.nth}`;
}

function laneOf(number: number): ChainLaboratory {
  const chain = lanes[number];
  assert.ok(chain, `lane ${number}`);
  return chain;
}

const skip = canTrace() ? false : 'strace is not permitted here';

test('a turn, a rollback or a redo that is killed can be finished or taken back', {
  skip,
}, async (t) => {
  const campaign = new Campaign(t, 'T5 SIGKILL of turns and rollbacks of a chain', random.seed);
  const wanted = campaignSize({ commit: 20, release: 100 });
  const kinds = chainWorks(TURNS, random.below(TURNS));
  const kills = await observe(kinds);
  const places = [...kills.values()].flat(2).length;
  const seen = new Set<string>();
  await inLanes(repeated(kinds, 10 * wanted), async (work, lane) => {
    if (campaign.cases >= wanted) return;
    const chain = laneOf(lane);
    const output = join(folder, `trace-${lane}`);
    const kill = async (): Promise<string | undefined> => {
      const inject = killIn(kills.get(work.name) ?? []);
      const tracing = { paths: [], calls: CALLS, inject, output };
      const { signal } = await tracedLvmsync(await work.words(chain), tracing);
      return signal === 'SIGKILL' ? inject : undefined;
    };
    await work.prepare(chain);
    const first = await kill();
    if (first === undefined) return;
    seen.add(`${work.name} ${first}`);
    // What is run again may be killed again, or come to its end.
    const second = random.below(2) === 0 ? ` and ${await kill()}` : '';
    await campaign.run(`${work.name}, ${first}${second}`, () => recover(work, chain, random));
  });
  t.diagnostic(`killed at ${seen.size} of about ${places} calls`);
  campaign.finish(wanted);
});

function* repeated<T>(items: readonly T[], times: number): Generator<T> {
  for (let time = 0; time < times; time++) yield* items;
}

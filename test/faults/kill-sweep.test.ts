/** T5: the program killed before a system call on the files of its run; then undone, then run again. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Campaign, campaignSize, someOf } from '../helpers/faults/campaign.js';
import { type RunKind, UndoLaboratory } from '../helpers/faults/undo-laboratory.js';
import type { UndoableRun } from '../helpers/faults/undoable-run.js';
import { inLanes, repeated } from '../helpers/lanes.js';
import { assertSucceeds, CLI, canTrace } from '../helpers/program/cli.js';
import { runInProcess } from '../helpers/program/in-process.js';
import { type TracedResult, tracedLvmsync } from '../helpers/program/traced-cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const KiB = 1024;
const random = new Random();

/** A source of which two thirds of the chunks changed. */
async function makeLaboratory(chunkSize: number, chunks: number): Promise<UndoLaboratory> {
  const changedChunks = random.distinct(Math.floor((chunks / 3) * 2), chunks);
  const spec = { chunkSize, size: chunkSize * chunks, changedChunks };
  const laboratory = new UndoLaboratory(scratchFolder(), spec);
  await laboratory.fill();
  return laboratory;
}

/** What a user may do after a crash has to lead where it is said to lead. */
async function recover(kind: RunKind, files: UndoableRun): Promise<void> {
  if (kind.name === 'rollback') {
    assertSucceeds(await runInProcess(kind.words(files)));
    return files.assertHolds('former', 'after another rollback');
  }
  if (random.below(2) === 0) {
    await files.undo();
    rmSync(files.snapback, { force: true });
    assertSucceeds(await runInProcess(kind.words(files)));
    return files.assertHolds('new', 'after another run');
  }
  // As the message after a failure says: the same run under another name, the old snapback kept.
  const again = join(files.folder, 'snapback-of-another-run');
  rmSync(again, { force: true });
  const words = kind.words(files).map((word) => (word === files.snapback ? again : word));
  assertSucceeds(await runInProcess(words));
  files.assertHolds('new', 'after another run over the first');
  assertSucceeds(await runInProcess(['--apply', again, files.destination]));
  await files.undo();
}

/** By these a run reads, writes, flushes, takes and leaves its files. */
const CALLS = [
  ...['openat', 'close', 'flock', 'fchmod', 'ftruncate', 'read', 'writev'],
  ...['pread64', 'pwrite64', 'fdatasync', 'fsync'],
];

interface Kill {
  readonly kind: RunKind;
  readonly call: string;
  /** strace counts the calls of each thread: the first that comes to its n-th dies before it. */
  readonly nth: number;
}

async function trace(
  laboratory: UndoLaboratory,
  { kind, inject }: { readonly kind: RunKind; readonly inject?: string },
  files: UndoableRun,
): Promise<TracedResult> {
  const { source, stream } = laboratory;
  const { destination, snapback, folder } = files;
  const paths = [source.data, source.cowStore, stream, destination, snapback, folder];
  await kind.prepare(files);
  const output = join(folder, 'trace');
  return tracedLvmsync(kind.words(files), { paths, calls: CALLS, inject, output });
}

/** The calls begun, each by its thread and name. */
function callsBegun({ trace }: TracedResult): string[] {
  return trace.split('\n').flatMap((line) => /^\d+ +\w+(?=\()/.exec(line) ?? []);
}

/** For a commit. */
const MOST_KILLS = 60;

interface Sweep {
  readonly kills: readonly Kill[];
  /** Calls of one run of each kind together. */
  readonly places: number;
}

/** Every n of every call, taking turns between the kinds of runs and the calls. */
async function planSweep(laboratory: UndoLaboratory): Promise<Sweep> {
  const queues: Kill[][] = [];
  let places = 0;
  for (const kind of laboratory.kinds) {
    const observed = await trace(laboratory, { kind }, laboratory.lane(0));
    assertSucceeds(observed);
    const begun = callsBegun(observed);
    places += begun.length;
    for (const call of CALLS) {
      const counts = new Map<string, number>();
      for (const one of begun.filter((text) => text.endsWith(` ${call}`))) {
        counts.set(one, (counts.get(one) ?? 0) + 1);
      }
      const most = Math.max(0, ...counts.values());
      queues.push(Array.from({ length: most }, (_, i) => ({ kind, call, nth: i + 1 })));
    }
  }
  const longest = Math.max(...queues.map(({ length }) => length));
  const turns = Array.from({ length: longest }, (_, turn) => turn);
  const kills = turns.flatMap((turn) => queues.flatMap((queue) => queue[turn] ?? []));
  return { kills: someOf(kills, MOST_KILLS, random), places };
}

describe('a run that is killed', () => {
  test('before a system call leaves a state that can be undone, and run again', {
    skip: canTrace() ? false : 'strace is not permitted here',
  }, async (t: TestContext) => {
    const campaign = new Campaign(t, 'T5 SIGKILL before a system call (strace)', random.seed);
    const wanted = campaignSize({ commit: MOST_KILLS, release: 1000 });
    // Few calls, and yet three batches.
    const laboratory = await makeLaboratory(256 * KiB, 28);
    const { kills, places } = await planSweep(laboratory);
    const positions = new Set<string>();
    await inLanes(repeated(kills, wanted), async ({ kind, call, nth }, lane) => {
      if (campaign.cases >= wanted) return;
      const files = laboratory.lane(lane);
      const inject = `${call}:signal=KILL:when=${nth}`;
      const result = await trace(laboratory, { kind, inject }, files);
      if (result.signal !== 'SIGKILL') return;
      positions.add(`${kind.name} ${callsBegun(result).length}`);
      await campaign.run(`${kind.name}, ${inject}`, () => recover(kind, files));
    });
    t.diagnostic(`killed before ${positions.size} of about ${places} calls`);
    campaign.finish(wanted);
  });

  test('at any time leaves a state that can be undone, and run again', async (t) => {
    const campaign = new Campaign(t, 'T5 SIGKILL at any time', random.seed);
    const wanted = campaignSize({ commit: 15, release: 10_000 });
    const laboratory = await makeLaboratory(16 * KiB, 1024);
    const { kinds } = laboratory;
    await inLanes(repeated(kinds, 10 * wanted), async (kind, lane) => {
      if (campaign.cases >= wanted) return;
      const files = laboratory.lane(lane);
      await kind.prepare(files);
      const delay = random.below(MOST_DELAY);
      if (!(await killedAfter(delay, kind.words(files)))) return;
      await campaign.run(`${kind.name}, after ${delay} ms`, () => recover(kind, files));
    });
    campaign.finish(wanted);
  });
});

/** Milliseconds; a run on a quiet machine takes less. */
const MOST_DELAY = 400;

/** Whether it was at work by then. */
async function killedAfter(delay: number, words: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, [CLI, ...words], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  await Promise.race([sleep(delay), ended]);
  child.kill('SIGKILL');
  const [, signal] = await ended;
  return signal === 'SIGKILL';
}

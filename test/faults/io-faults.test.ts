/** Whole runs in which every call fails in turn: each ends well and right, or says what failed and can be undone. */

import '../helpers/faults/scripted-syscalls.js';

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { type ExitName, LvmsyncError } from '../../src/base/errors.js';
import { isNativeError, type NativeError, native } from '../../src/host/native.js';
import { randomShape } from '../helpers/devices/change-shapes.js';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { type Scenario, Scenarios } from '../helpers/faults/fault-scenarios.js';
import {
  type FaultOutcome,
  type FaultPlan,
  type Hit,
  syscalls,
} from '../helpers/faults/scripted-syscalls.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const { EIO, ENOSPC, EINTR, EAGAIN } = constants.errno;

interface Fault {
  readonly name: string;
  readonly error?: number;
  readonly most?: number;
  /** Calls in a row that get it, besides one alone: interruptions are never endless. */
  readonly lasting: number;
  /** A run carries on after it, unless it hits a flush. */
  readonly harmless: boolean;
}

const FAULTS: readonly Fault[] = [
  { name: 'EIO', error: EIO, lasting: Infinity, harmless: false },
  { name: 'ENOSPC', error: ENOSPC, lasting: Infinity, harmless: false },
  { name: 'EINTR', error: EINTR, lasting: 40, harmless: true },
  { name: 'EAGAIN', error: EAGAIN, lasting: 40, harmless: true },
  // Endless ones would take a call for every few bytes of the devices.
  { name: 'short 512', most: 512, lasting: 1000, harmless: true },
  { name: 'short 1', most: 1, lasting: 400, harmless: true },
];

const MIB = 1024 * 1024;
const random = new Random();
const scenarios = new Scenarios(scratchFolder('memory'));

async function makeScenarios(): Promise<Scenario[]> {
  // Whole pages, which go through the engine, and stretches that begin and end anywhere.
  const pages = randomShape(random, { size: 128 * 1024, unit: 4096, changed: 9 });
  const odd = randomShape(random, { size: 96 * 1024 + 1234, unit: 2477, changed: 7 });
  // More than a batch holds: two are under way at once.
  const large = randomShape(random, { size: 4 * MIB, unit: MIB / 2, changed: 6 });
  return [
    scenarios.sync(pages),
    scenarios.sync(odd),
    scenarios.sync(large),
    scenarios.compare(pages),
    scenarios.compare(odd),
    scenarios.compare(large),
    scenarios.dumpToFile(pages),
    scenarios.dumpToPipe(odd),
    await scenarios.apply(random, pages),
    await scenarios.apply(random, odd),
    await scenarios.rollback(random, pages),
  ];
}

function isFlush({ call }: Pick<Hit, 'call'>): boolean {
  return call === 'fsync' || call === 'fdatasync';
}

interface Ended {
  /** Undefined where it ended well. */
  readonly failure: unknown;
  readonly outcome: FaultOutcome;
}

async function runWith(scenario: Scenario, plan: FaultPlan): Promise<Ended> {
  scenario.prepare();
  syscalls.setFaults(plan);
  const failure = await scenario.run().then(
    () => undefined,
    (caught: unknown) => caught ?? 'nothing',
  );
  return { failure, outcome: syscalls.takeOutcome() };
}

async function check(scenario: Scenario, fault: Fault, { failure, outcome }: Ended): Promise<void> {
  if (failure === undefined) await scenario.verifyDone();
  else await scenario.verifyFailed();
  if (failure !== undefined) checkFailure(failure, outcome.hits, scenario);
  const flushFailed = outcome.flushes.some(({ failed }) => failed);
  if (flushFailed) assert.ok(failure !== undefined, 'a failed flush is no failure');
  if (fault.harmless && !flushFailed) assert.equal(failure, undefined, 'it should have carried on');
  checkNoSecondFlush(outcome);
}

/** The failure is that of a call that was made to fail: its file, place and status. */
function checkFailure(failure: unknown, hits: readonly Hit[], { codes }: Scenario): void {
  assert.ok(failure instanceof LvmsyncError || isNativeError(failure), String(failure));
  const told = hits.some((hit) => tells(failure, hit, codes.get(hit.path)));
  const seen = JSON.stringify(hits.slice(0, 3));
  assert.ok(told, `${failure.message} (${failure.code}) after ${seen}`);
}

function tells(failure: LvmsyncError | NativeError, hit: Hit, code: ExitName | undefined): boolean {
  if (failure instanceof LvmsyncError) {
    const where = isFlush(hit) ? 'flush error ' : ` error at byte ${hit.offset} `;
    const { message } = failure;
    return failure.code === code && message.includes(`${hit.path}: `) && message.includes(where);
  }
  // A pipe has no offsets of its own; a flush is of the whole.
  const anywhere = isFlush(hit) || hit.path.startsWith('pipe:');
  return code === undefined && (anywhere || failure.offset === hit.offset);
}

/** The kernel may have dropped the pages that it could not write: a second flush would tell a lie. */
function checkNoSecondFlush({ flushes }: FaultOutcome): void {
  const failed = new Set<string>();
  for (const flush of flushes) {
    assert.ok(!failed.has(flush.path), `${flush.path} was flushed again after a failure`);
    if (flush.failed) failed.add(flush.path);
  }
}

async function runAllCalls(campaign: Campaign, scenario: Scenario, engine: string): Promise<void> {
  for (const fault of FAULTS) {
    for (const run of [1, fault.lasting]) {
      let hit = true;
      for (let first = 1; hit; first++) {
        const title = `${scenario.name}, ${engine}: ${fault.name} from call ${first} on, ${run} times`;
        const { error = 0, most = 0 } = fault;
        const ended = await runWith(scenario, { first, run, error, most });
        hit = ended.outcome.injected > 0;
        await campaign.run(title, () => check(scenario, fault, ended));
        if (first > MOST_CALLS) throw new Error(`${title}: there is no end to the calls`);
      }
    }
  }
}

const MOST_CALLS = 10_000;

test('each failing call of a run is survived, or named and undone', async (context) => {
  const wanted = campaignSize({ commit: 5000, release: 50_000 });
  const campaign = new Campaign(context, 'T3 every call fails in turn', random.seed);
  const engines = ['uring', 'threads'].filter((engine) => {
    try {
      return native.selectEngine(engine).name !== '';
    } catch (error) {
      context.diagnostic(`the engine ${engine} is left out: ${error}`);
      return false;
    }
  });
  while (campaign.cases < wanted) {
    for (const scenario of await makeScenarios()) {
      for (const engine of engines) {
        native.selectEngine(engine);
        await runAllCalls(campaign, scenario, engine);
      }
    }
  }
  campaign.finish(wanted);
});

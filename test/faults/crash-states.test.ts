/** The power fails at any moment of a run: the snapback brings back what the destination held before. */

import '../helpers/faults/scripted-syscalls.js';

import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { LvmsyncError } from '../../src/base/errors.js';
import { MemoryDevice } from '../helpers/devices/memory-device.js';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { CrashRuns, type Undertaking } from '../helpers/faults/crash-runs.js';
import { CrashSimulator, type Image, type Recording } from '../helpers/faults/crash-simulator.js';
import { recordRun, withoutFlushes, withoutFolderFlush } from '../helpers/faults/record-run.js';
import type { FaultPlan } from '../helpers/faults/scripted-syscalls.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';
import { applyToMemory } from '../helpers/streams/apply-stream.js';
import { applyFile } from '../helpers/streams/file-pipelines.js';
import { framedStream } from '../helpers/streams/stream-parts.js';

/** Of one recording. */
const STATES = 120;
/** Microseconds: calls overlap, and a run still takes only some hundredths of a second. */
const DAWDLE = 40;

const random = new Random();
const folder = scratchFolder('memory');
const runs = new CrashRuns(folder, random);
const { destination, snapback } = runs;

/** What a disk may give for sectors that were never written: noise, or another snapback. */
const garbage = Buffer.concat([
  random.bytes(4096),
  await framedStream(join(folder, 'other-snapback'), {
    kind: 'snapback',
    deviceSize: 64 * 1024,
    groups: [[{ offset: 0, data: random.bytes(2000) }], [{ offset: 4096, data: random.bytes(99) }]],
  }),
]);

interface RecordedUndertaking {
  readonly undertaking: Undertaking;
  readonly recording: Recording;
  readonly succeeded: boolean;
}

/** A third of the runs fails somewhere on the way, before the power does. */
async function record(undertaking: Undertaking): Promise<RecordedUndertaking> {
  runs.prepare(undertaking);
  const faults: FaultPlan = {
    first: 1 + random.below(60),
    run: random.below(3) === 0 ? Infinity : 0,
    error: random.below(2) === 0 ? constants.errno.ENOSPC : constants.errno.EIO,
    most: 0,
  };
  const { run } = undertaking;
  const job = { files: [destination], run, faults, dawdle: DAWDLE, garbage };
  return { undertaking, ...(await recordRun(job, random)) };
}

interface Check {
  readonly campaign: Pick<Campaign, 'run'>;
  /** Makes of what was found what the destination held before; throws where it does not. */
  readonly undo: (undertaking: Undertaking, image: Image) => Promise<void>;
}

/** One state after the other, each at a cut of its own. */
async function checkStates(recorded: RecordedUndertaking, { campaign, undo }: Check) {
  const { undertaking, recording, succeeded } = recorded;
  const simulator = new CrashSimulator(recording);
  const { length } = recording.events;
  for (let state = 0; state < STATES; state++) {
    // The end of the run is looked at more often than its other moments.
    const cut = state % 12 === 0 ? length : random.below(length + 1);
    const title = `${undertaking.name}, cut before event ${cut} of ${length}, state ${state}`;
    await campaign.run(title, async () => {
      const image = simulator.crashAt(cut, random);
      if (succeeded && cut === length) {
        assert.ok(image.get(destination)?.equals(undertaking.content), 'done, but not durable');
      }
      await undo(undertaking, image);
    });
  }
}

const found = join(folder, 'found');
const foundFile = openSync(found, 'w');
after(() => closeSync(foundFile));

/** Applies what was found of the snapback to what was found of the destination, and counts. */
class Undo {
  changed = 0;
  torn = 0;

  readonly run = async ({ former, content }: Undertaking, image: Image): Promise<void> => {
    const wanted = padded(former, content.length);
    const device = new MemoryDevice(padded(image.get(destination), content.length));
    const untouched = device.content.equals(wanted);
    if (!untouched) this.changed++;
    const saved = image.get(snapback);
    if (saved === undefined) return assert.ok(untouched, 'changed, and there is no snapback');
    keep(saved);
    const { error, end } = await applyToMemory(found, device);
    if (error !== undefined) {
      assert.ok(error instanceof LvmsyncError && /^stream/.test(error.code), String(error));
      assert.ok(untouched, `changed, and the snapback is refused: ${error.message}`);
    }
    if (end?.tornTail !== undefined) this.torn++;
    assert.ok(device.content.equals(wanted), 'undone, but not as it was');
  };

  report(context: TestContext, states: number): void {
    const { changed, torn } = this;
    context.diagnostic(
      `${changed} of ${states} states had a changed destination, ${torn} a torn tail`,
    );
    // Or else the campaign would have tried nothing.
    assert.ok(changed > states / 4 && torn > states / 20);
  }
}

/** A grown file reads as zeros where nothing was written; going back does not shorten it. */
function padded(content: Buffer | undefined, size: number): Buffer {
  assert.ok(content !== undefined, 'the destination is gone');
  return Buffer.concat([content], Math.max(size, content.length));
}

function keep(content: Buffer): void {
  ftruncateSync(foundFile, 0);
  writeSync(foundFile, content, 0, content.length, 0);
}

test('after a power cut at any moment the snapback brings the former content back', async (context) => {
  const wanted = campaignSize({ commit: 9000, release: 900_000 });
  const campaign = new Campaign(context, 'T6 crash states of a run with a snapback', random.seed);
  const undo = new Undo();
  while (campaign.cases < wanted) {
    await checkStates(await record(await runs.any()), { campaign, undo: undo.run });
  }
  undo.report(context, campaign.cases);
  campaign.finish(wanted);
});

test('after a power cut during a rollback, the same rollback brings everything back', async (context) => {
  const wanted = campaignSize({ commit: 2000, release: 100_000 });
  const campaign = new Campaign(context, 'T6 crash states of a rollback', random.seed);
  const undo = async ({ content }: Undertaking, image: Image): Promise<void> => {
    const device = new MemoryDevice(Buffer.from(image.get(destination) ?? []));
    const { error } = await applyToMemory(snapback, device);
    assert.equal(error, undefined);
    assert.ok(device.content.equals(content));
  };
  while (campaign.cases < wanted) {
    const applied = await runs.apply();
    runs.prepare(applied);
    await applied.run();
    const run = () => applyFile({ stream: snapback, destination, snapback: undefined });
    const undertaking = { name: 'rollback', former: applied.content, content: applied.former, run };
    const job = { files: [destination], run, dawdle: DAWDLE, garbage };
    const recorded = { undertaking, ...(await recordRun(job, random)) };
    assert.ok(recorded.succeeded);
    await checkStates(recorded, { campaign, undo });
  }
  campaign.finish(wanted);
});

interface Mutant {
  readonly missing: string;
  readonly without: (recording: Recording) => Recording;
}

const MUTANTS: readonly Mutant[] = [
  {
    missing: 'all flushes of the snapback',
    without: (recording) => withoutFlushes(recording, snapback),
  },
  {
    // The one after its beginning comes before the first write to the destination.
    missing: 'the second flush of the snapback',
    without: (recording) => withoutFlushes(recording, snapback, 1),
  },
  { missing: 'the flush of its folder', without: withoutFolderFlush },
  {
    missing: 'the flush of the destination',
    without: (recording) => withoutFlushes(recording, destination),
  },
];

for (const { missing, without } of MUTANTS) {
  test(`a program without ${missing} would be found out`, async (context) => {
    let states = 0;
    const escapes: string[] = [];
    const campaign: Pick<Campaign, 'run'> = {
      run: async (what, check) => {
        states++;
        await Promise.resolve(check()).catch((error: unknown) => escapes.push(`${what}: ${error}`));
      },
    };
    for (let recordings = 0; recordings < 12; recordings++) {
      const recorded = await record(await runs.any());
      const mutant = { ...recorded, recording: without(recorded.recording) };
      await checkStates(mutant, { campaign, undo: new Undo().run });
    }
    context.diagnostic(`${escapes.length} of ${states} states show it`);
    assert.ok(escapes.length > 0);
  });
}

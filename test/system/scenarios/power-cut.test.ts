// T7: power cuts. A run is recorded by dm-log-writes, below a real volume group that holds both the
// destination and the file system of the snapback; then each state is looked at in which a power cut
// could have left that disk.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Campaign, campaignSize } from '../../helpers/faults/campaign.js';
import { CLI, engineSetting, runTool, syncs } from '../../helpers/program/cli.js';
import { runInProcess } from '../../helpers/program/in-process.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { fillRandom, scattered, writeRandom } from '../harness/content.js';
import { crashStates } from '../harness/log-writes.js';
import { LoggedGroup } from '../harness/logged-group.js';
import { KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';

const SIZE = 8 * MiB;
const DONE = 'done';
/** Of the states of a run, the share that is looked at: each takes some seconds. */
const ONE_OF = campaignSize({ commit: 4, release: 1 });
/** A run that was cut off before anything in its snapback was durable. */
const NOTHING_DURABLE =
  /nothing needs to be undone|: it is empty|: it holds only the first line|: it is cut off/;

describe('a power cut', () => {
  const random = new Random();
  const stream = `${scratchFolder()}/stream`;
  let group: TestVolumeGroup;
  let origin: LogicalVolume;
  let snapshot: LogicalVolume;
  let former: Buffer;
  let content: Buffer;

  before(() => {
    group = new TestVolumeGroup({ size: 100 * MiB });
    origin = group.createVolume('data', SIZE);
  });
  after(() => group.destroy());

  /** A new content of the origin, of which more than two batches changed since the snapshot. */
  function change(t: TestContext): void {
    fillRandom(origin.path, random, SIZE);
    former = readFileSync(origin.path);
    snapshot = group.createSnapshot(origin, { chunkSize: 64 * KiB, until: t });
    writeRandom(origin.path, random, scattered(random, SIZE, { count: 120, length: 64 * KiB }));
    content = readFileSync(origin.path);
    syncs(['--stdout', snapshot.path], { stdoutFile: stream });
  }

  interface Kind {
    readonly name: string;
    words(snapback: string, copy: string): readonly string[];
    readonly undoable: boolean;
  }
  const kinds: readonly Kind[] = [
    {
      name: 'sync',
      words: (snapback, copy) => ['--snapback', snapback, snapshot.path, copy],
      undoable: true,
    },
    {
      name: 'apply',
      words: (snapback, copy) => ['--apply', stream, '--snapback', snapback, copy],
      undoable: true,
    },
    {
      name: 'sync without snapback',
      words: (_, copy) => [snapshot.path, copy],
      undoable: false,
    },
  ];

  interface Trial {
    readonly kind: Kind;
    /** States between each flush and the next. */
    readonly between: number;
    /** strace's words for calls that only say that they did their work. */
    readonly lies?: readonly string[];
    /** Nothing more needs to be looked at. */
    readonly isEnough?: () => boolean;
  }

  /** Records one run, and checks each state it could be left in. */
  async function cutPower(
    t: TestContext,
    { kind, between, lies, isEnough = () => false }: Trial,
    campaign: Pick<Campaign, 'run'>,
  ): Promise<void> {
    change(t);
    const files = new LoggedGroup(t, { copy: SIZE });
    const snapback = `${files.mountPoint}/snapback`;
    const { path } = files.copy;
    const watched = [snapback, path].flatMap((one) => ['-P', one]);
    const under = lies ? ['strace', '-f', '-qq', '-o', '/dev/null', ...watched, ...lies] : [];
    const { image, entries } = files.record(former, (mark) => {
      const argv = [process.execPath, CLI, ...kind.words(snapback, path)];
      const run = runTool([...under, ...argv], { env: engineSetting('threads') });
      assert.equal(run.status, 0, run.stderr);
      mark(DONE);
    });
    const disk = files.crashDisk(image);
    const below = (limit: number): number => random.below(limit);
    for (const state of crashStates(entries, image, { between, below })) {
      const done = state.marks.includes(DONE);
      if (!kind.undoable && !done) continue;
      if (isEnough()) return;
      if (!done && lies === undefined && random.below(ONE_OF) !== 0) continue;
      disk.become(state.image);
      await campaign.run(state.what, async () => {
        // Exit 0 means that all of it is durable.
        if (done) assertHolds(files.copy, content, 'the new content');
        if (kind.undoable) await undo(files, snapback);
      });
      if (done) return;
    }
  }

  /** The snapback, as far as it reached the disk, brings back whatever reached the disk. */
  async function undo(files: LoggedGroup, snapback: string): Promise<void> {
    files.mount();
    try {
      if (existsSync(snapback)) {
        const { status, stderr } = await runInProcess(['--apply', snapback, files.copy.path]);
        if (status !== 0) assert.match(stderr, NOTHING_DURABLE, `the undo ended with ${status}`);
      }
    } finally {
      files.unmount();
    }
    assertHolds(files.copy, former, 'the former content after the undo');
  }

  for (const kind of kinds) {
    test(`loses nothing of a run of kind: ${kind.name}`, async (t) => {
      const campaign = new Campaign(t, `T7 power cuts (dm-log-writes), ${kind.name}`, random.seed);
      const workloads = campaignSize({ commit: 1, release: 25 });
      const between = campaignSize({ commit: 2, release: 6 });
      for (let number = 0; number < workloads; number++) {
        await t.test(`workload ${number}`, (inner) => cutPower(inner, { kind, between }, campaign));
      }
      campaign.finish(
        kind.undoable ? campaignSize({ commit: 2, release: 10 * workloads }) : workloads,
      );
    });
  }

  // Whoever looks for lost bytes has to be seen to find some.
  for (const kind of kinds) {
    const call = kind.undoable ? 'fdatasync' : 'fsync';
    test(`would be seen to lose bytes if ${call} did nothing: ${kind.name}`, async (t) => {
      const lies = ['-e', `trace=${call}`, '-e', `inject=${call}:retval=0`];
      let lost = 0;
      const run = (_: string, check: () => unknown): Promise<void> =>
        Promise.resolve(check()).then(
          () => undefined,
          () => {
            lost++;
          },
        );
      await cutPower(t, { kind, between: 0, lies, isEnough: () => lost > 0 }, { run });
      assert.ok(lost > 0, 'some states were found in which bytes are lost');
    });
  }
});

function assertHolds({ path }: LogicalVolume, expected: Buffer, what: string): void {
  assert.ok(readFileSync(path).equals(expected), `${path} holds ${what}`);
}

// T7: power cuts in the middle of a cycle. All that a machine has is below dm-log-writes: the origin
// with its snapshots, the copy, and the file system of the chain. Then states are looked at in which a
// power cut could have left that disk, and the cycle goes on from them.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { readRecord } from '../../../src/chain/record.js';
import { Campaign, campaignSize } from '../../helpers/faults/campaign.js';
import { lvmsync } from '../../helpers/program/cli.js';
import { runInProcess } from '../../helpers/program/in-process.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { contentHash, fillRandom, scattered, writeRandom } from '../harness/content.js';
import { snapshotsOf } from '../harness/cycles.js';
import { type CrashState, crashStates, type LogEntry } from '../harness/log-writes.js';
import { LoggedGroup } from '../harness/logged-group.js';
import { KiB, loopDevice, MiB } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const SIZE = 2 * MiB;
const TURNS = 3;
/** Made at last, to another disk. */
const ELSEWHERE = 'elsewhere';

interface Place {
  readonly copy: string;
  readonly chain: string;
}

class Machine {
  readonly files: LoggedGroup;
  readonly here: Place;
  /** On a disk whose power is not cut. */
  readonly elsewhere: Place;
  /** Of the copy, by the uuid of the point that it holds. */
  readonly #hashes = new Map<string, string>();
  readonly #random: Random;

  constructor(t: TestContext, random: Random) {
    this.#random = random;
    this.files = new LoggedGroup(t, { copy: SIZE, origin: SIZE });
    const folder = scratchFolder();
    this.here = { copy: this.files.copy.path, chain: `${this.files.mountPoint}/chain` };
    const other = loopDevice(`${folder}/copy`, SIZE);
    t.after(() => tool('losetup', '-d', other));
    this.elsewhere = { copy: other, chain: `${folder}/chain` };
  }

  write(): void {
    const { path } = this.files.origin;
    writeRandom(path, this.#random, scattered(this.#random, SIZE, { count: 30, length: 4 * KiB }));
  }

  turn({ copy, chain }: Place, ...options: string[]): void {
    const volume = `${this.files.name}/mail`;
    const words = ['cycle', volume, copy, '--snapback', chain, '--size', '150%', ...options];
    const { status, stderr } = lvmsync(words);
    assert.equal(status, 0, stderr);
  }

  /** Remembers what the copy of this machine holds, by its point. */
  note(): void {
    this.#hashes.set(readRecord(this.here.chain)?.point?.uuid ?? '', contentHash(this.here.copy));
  }

  assertCopyIs(point: string, when: string): void {
    const expected = this.#hashes.get(point);
    // A point that only came to be after the power cut was compared when its turn was taken.
    if (expected !== undefined) assert.equal(contentHash(this.here.copy), expected, when);
  }

  /** The snapshot of the point that the record names is there, and can be read. */
  assertBaseIsThere({ chain }: Place): void {
    const point = readRecord(chain)?.point?.uuid;
    if (point === undefined) return;
    const snapshots = snapshotsOf(this.files.name);
    const base = snapshots.find(({ uuid }) => uuid === point);
    assert.ok(base, `the snapshot of ${point} among ${JSON.stringify(snapshots)}`);
    contentHash(this.files.devicePath(base.lvName));
  }

  /** The next turn goes on, and from its point the chain goes back to each one before it. */
  async recover(): Promise<void> {
    const { copy, chain } = this.here;
    const record = readRecord(chain);
    const point = record?.point ?? undefined;
    this.assertBaseIsThere(this.here);
    if (point !== undefined && record?.doing === null) this.assertCopyIs(point.uuid, 'as recorded');
    if (record?.doing?.what === 'turn' && this.#random.below(2) === 0) {
      await this.#rollBack('0');
      this.assertCopyIs(point?.uuid ?? '', 'once the part of a turn was undone');
    }
    this.write();
    this.turn(this.here, ...(point === undefined ? ['--init'] : []));
    const [snapshot, ...more] = snapshotsOf(this.files.name);
    assert.ok(snapshot && more.length === 0, 'one snapshot is left');
    assert.equal(contentHash(copy), contentHash(this.files.devicePath(snapshot.lvName)));
    for (let steps = this.#steps(); steps > 0; steps--) {
      await this.#rollBack('1');
      this.assertCopyIs(readRecord(chain)?.point?.uuid ?? '', 'gone back to');
    }
  }

  #steps(): number {
    const { chain, copy } = this.here;
    const { points } = JSON.parse(`${lvmsync(['chain', '--json', chain, copy]).stdout}`);
    return points.length - 1;
  }

  async #rollBack(steps: string): Promise<void> {
    const { chain, copy } = this.here;
    const { status, stderr } = await runInProcess(['rollback', '--steps', steps, copy, chain]);
    assert.equal(status, 0, stderr);
  }
}

/** Those that crashStates will give in the middle of a turn. */
function countStates(entries: readonly LogEntry[], between: number): number {
  let marks = 0;
  let count = 0;
  for (const { flush, fua, mark } of entries) {
    if (mark === ELSEWHERE) break;
    if (mark !== undefined) marks++;
    if (marks % 2 === 0) continue;
    count += (flush ? between : 0) + (flush || fua || mark !== undefined ? 1 : 0);
  }
  return count;
}

const isInTurn = ({ marks }: CrashState): boolean => marks.length % 2 === 1;

test('a power cut in the middle of a cycle loses no state, and the next turn goes on', async (t) => {
  const random = new Random();
  const campaign = new Campaign(t, 'T7 power cuts (dm-log-writes), cycle', random.seed);
  const wanted = campaignSize({ commit: 2, release: 150 });
  const between = campaignSize({ commit: 1, release: 3 });
  const machine = new Machine(t, random);
  const { files } = machine;
  const { image, entries } = files.record(Buffer.alloc(SIZE, 'former '), (mark) => {
    fillRandom(files.origin.path, random, SIZE);
    for (let turn = 0; turn < TURNS; turn++) {
      mark(`turn-${turn}-begins`);
      machine.turn(machine.here, ...(turn === 0 ? ['--init'] : []));
      mark(`turn-${turn}-is-done`);
      machine.note();
      machine.write();
    }
    // Nothing but the snapshots of this turn reaches the disk.
    machine.turn(machine.elsewhere, '--init');
    mark(ELSEWHERE);
  });
  const disk = files.crashDisk(image);
  const total = countStates(entries, between);
  const below = (limit: number): number => random.below(limit);
  // Chosen evenly among those that are left.
  let left = total;
  let missing = wanted;
  for (const state of crashStates(entries, image, { between, below })) {
    const isLast = state.marks.at(-1) === ELSEWHERE;
    if (!isLast && !isInTurn(state)) continue;
    if (!isLast && random.below(left--) >= missing) continue;
    disk.become(state.image);
    if (isLast) {
      await campaign.run('the snapshot that another disk is told of', () =>
        machine.assertBaseIsThere(machine.elsewhere),
      );
      break;
    }
    missing--;
    files.mount();
    try {
      const where = `${state.marks.at(-1)}, ${state.what}`;
      await campaign.run(where, () => machine.recover());
    } finally {
      files.unmount();
    }
  }
  t.diagnostic(`${campaign.cases} of ${total} states`);
  campaign.finish(Math.min(wanted, total) / 2);
});

// A history that survives: turns by comparison where the list of changes, or the copy, cannot be trusted.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT } from '../../../src/base/errors.js';
import { Campaign, campaignSize, DrawnTests } from '../../helpers/faults/campaign.js';
import { assertFails, assertSucceeds, lvmsync } from '../../helpers/program/cli.js';
import { runInProcess } from '../../helpers/program/in-process.js';
import { Random } from '../../helpers/random.js';
import { scattered, writeRandom } from '../harness/content.js';
import { CycleLaboratory } from '../harness/cycles.js';
import { KiB, MiB } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const random = new Random();

let laboratory: CycleLaboratory;
afterEach(() => laboratory.destroy());

/** A cycle whose copy was right after each turn so far. */
class History {
  /** Hashes of the copy, oldest first. */
  readonly #hashes: string[] = [];
  /** Uuid of the newest point that is among them. */
  #point: string | undefined;

  constructor(kind: 'thick' | 'thin') {
    laboratory = new CycleLaboratory(kind, random);
    laboratory.startWriter();
    this.turn('--init');
  }

  turn(...options: string[]): void {
    this.#hashes.push(laboratory.turnSucceeds(...options));
    this.#point = laboratory.point();
  }

  /** A run that was to be killed may have been done before. */
  noteLate(): void {
    if (laboratory.isBegun() || laboratory.point() === this.#point) return;
    this.#point = laboratory.point();
    this.#hashes.push(laboratory.hash());
  }

  /** Its new snapshot has no room for more than a few chunks. */
  turnWithLittleRoom(...options: string[]): void {
    const words = laboratory.words(...options).map((word) => (word === '120%' ? '2M' : word));
    assertSucceeds(lvmsync(words));
    this.#hashes.push(laboratory.hash());
    const { path } = laboratory.origin;
    writeRandom(path, random, scattered(random, 8 * MiB, { count: 800, length: 4 * KiB }));
    const [base = assert.fail()] = laboratory.snapshots();
    const state = tool('lvs', '--noheadings', '-o', 'lv_snapshot_invalid', `vg0/${base.lvName}`);
    assert.match(state, /invalid/, 'it overflowed');
  }

  removeBase(): void {
    for (const { lvName } of laboratory.snapshots()) {
      tool('lvremove', '-q', '-y', `vg0/${lvName}`);
    }
  }

  /** Writes to places of the copy of which most did not change at the source. */
  writeToCopy(): void {
    const writes = scattered(random, 8 * MiB, { count: 30, length: 4 * KiB });
    writeRandom(laboratory.copy.path, random, writes);
  }

  /** `marked`: how many turns back the newest one is that is not exact. */
  async assertAllPoints(marked?: number): Promise<void> {
    await laboratory.stopWriter();
    const back = [...this.#hashes].reverse().slice(0, marked);
    for (const [steps, hash] of back.entries()) {
      if (steps > 0) await goBack();
      assert.equal(laboratory.hash(), hash, `${steps} steps back`);
    }
  }
}

/** One step. Without a process of its own: there are many of them. */
async function goBack(): Promise<void> {
  const { copy, chain } = laboratory;
  assertSucceeds(await runInProcess(['rollback', '--steps', '1', copy.path, chain]));
}

function refused(why: RegExp): void {
  const { status, stderr } = laboratory.turn();
  assert.ok(status === EXIT.sourceUnfit || status === EXIT.destinationUnfit, stderr);
  assert.match(stderr, why);
  assert.match(stderr, /--compare/, 'the way out');
}

describe('ten turns of a thick volume under a writer', () => {
  test('keep their history through all that befalls the base and the copy', async () => {
    const history = new History('thick');
    history.turn();
    history.turnWithLittleRoom();
    refused(/overflowed/);
    history.turn('--compare');
    history.turn('--compare');
    history.removeBase();
    refused(/no longer exists/);
    history.turn('--compare');
    history.turn();
    history.writeToCopy();
    refused(/something else wrote to it/);
    history.turn('--compare');
    const aside = readdirSync(laboratory.chain).filter((name) => name.startsWith('overwritten-'));
    assert.equal(aside.length, 1, 'what was overwritten was kept');
    history.turn('--compare');
    const listed = lvmsync(['chain', laboratory.chain, laboratory.copy.path]);
    assertSucceeds(listed);
    assert.match(`${listed.stdout}`, /if nothing else wrote to the copy/);
    assert.doesNotMatch(`${listed.stdout}`, /something else wrote to the copy before/);
    await history.assertAllPoints();
  });

  test('are marked where both are lost at once', async () => {
    const history = new History('thick');
    history.turn();
    history.turn();
    history.writeToCopy();
    history.removeBase();
    history.turn('--compare');
    history.turn();
    const listed = lvmsync(['chain', laboratory.chain, laboratory.copy.path]);
    assert.match(`${listed.stdout}`, /something else wrote to the copy/);
    const dry = lvmsync([
      'rollback',
      '--dry-run',
      '--steps',
      '2',
      laboratory.copy.path,
      laboratory.chain,
    ]);
    assertSucceeds(dry);
    assert.match(`${dry.stdout}${dry.stderr}`, /something else wrote to the copy/);
    await history.assertAllPoints(2);
  });
});

describe('a comparison that is killed', () => {
  const kills = campaignSize({ commit: 10, release: 100 });

  test('at any step: the next run goes on, and nothing is lost', async (t) => {
    const history = new History('thick');
    history.turn();
    const campaign = new Campaign(t, 'T5 SIGKILL during a comparison', random.seed);
    let begun = 0;
    for (let kill = 0; kill < kills; kill++) {
      await campaign.run(`kill ${kill}`, async () => {
        if (kill % 4 === 0) history.removeBase();
        const run = laboratory.startTurn('--compare', '--bwlimit', '4M');
        const ended = once(run, 'exit');
        const wait = kill % 2 === 0 ? laboratory.isUnderWay(run) : delay(random.below(4000));
        await Promise.race([wait.then(() => delay(random.below(300))), ended]);
        if (run.exitCode === null) process.kill(-(run.pid ?? 0), 'SIGKILL');
        await ended;
        if (laboratory.isBegun()) begun++;
        history.noteLate();
        if (kill % 4 === 3) history.turn('--compare');
      });
    }
    history.turn('--compare');
    t.diagnostic(`${begun} of ${kills} had begun to write`);
    campaign.finish(kills);
    await history.assertAllPoints();
  });
});

const others = new DrawnTests();

others.scenario(
  'a timer goes through nights of ten times the usual writes, without a person',
  async () => {
    laboratory = new CycleLaboratory('thick', random);
    const { path } = laboratory.origin;
    const write = (bytes: number): void =>
      writeRandom(path, random, [{ offset: MiB, length: bytes }]);
    const hashes = [laboratory.turnSucceeds('--init', '--size', 'auto')];
    let compared = 0;
    for (const bytes of [300, 3000, 300, 3000].map((kib) => kib * KiB)) {
      write(bytes);
      const { status, stderr } = laboratory.turn('--size', 'auto', '--compare=lost');
      assert.equal(status, 0, stderr);
      if (/Compared/.test(stderr)) compared++;
      hashes.push(laboratory.hash());
    }
    assert.equal(compared, 1, 'only the first night was not foreseen');
    for (const hash of hashes.reverse().slice(1)) {
      await goBack();
      assert.equal(laboratory.hash(), hash);
    }
  },
);

others.scenario(
  'a thin volume goes on with its base after the merge of another snapshot',
  async () => {
    const history = new History('thin');
    tool('lvcreate', '-q', '-s', '-n', 'before', 'vg0/mail');
    history.turn();
    await laboratory.stopWriter();
    tool('lvchange', '-an', 'vg0/mail');
    tool('lvconvert', '-q', '--merge', 'vg0/before');
    tool('lvchange', '-ay', 'vg0/mail');
    laboratory.startWriter();
    history.turn();
    await history.assertAllPoints();
  },
);

others.scenario(
  'a thin volume keeps its history where its base was removed, and its number used again',
  async () => {
    const history = new History('thin');
    history.turn();
    history.removeBase();
    tool('lvcreate', '-q', '-s', '-n', 'another', 'vg0/mail');
    refused(/no longer exists/);
    history.turn('--compare');
    await history.assertAllPoints();
  },
);

others.scenario('a chain begins by a comparison on a copy that exists', async () => {
  laboratory = new CycleLaboratory('thick', random);
  tool('dd', `if=${laboratory.origin.path}`, `of=${laboratory.copy.path}`, 'bs=1M', 'conv=fsync');
  writeRandom(laboratory.origin.path, random, [{ offset: 3 * MiB, length: 4 * KiB }]);
  const { status, stderr } = laboratory.turn('--init', '--compare');
  assert.equal(status, 0, stderr);
  assert.match(stderr, /Compared 8\.0 MiB: 64\.0 KiB differ\./);
  laboratory.turnSucceeds();
  assertFails(
    laboratory.turn('--init', '--compare'),
    EXIT.destinationUnfit,
    /already has a history/,
  );
});

describe('what else befalls a cycle', () => others.run(2, random));

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../../src/base/errors.js';
import {
  type CycleStatus,
  idleUnits,
  judgeCycle,
  strayProblem,
} from '../../../../src/commands/status/cycles.js';
import type { Places } from '../../../../src/commands/status/places.js';
import { findCycles } from '../../../../src/cycle/cycles.js';
import { UNCONFIRMED_TAG } from '../../../../src/cycle/names.js';
import { WAIT_FOR_RUN } from '../../../../src/host/claim-file.js';
import type { FilledVolume } from '../../../../src/lvm/lvs-report.js';
import { cycleSnapshot, TAG, thinSnapshot, volume } from '../../../helpers/lvm/cycle-volumes.js';

const [T1, T2] = ['2026-11-23T10:00:00Z', '2026-11-23T11:00:00Z'];
const NOW = Date.parse('2026-11-23T12:00:00Z');
const HOUR = 3_600_000;
const mail = volume('mail');

interface Circumstances {
  readonly maxAge?: number;
  readonly now?: number;
  /** What a look at the lock throws. */
  readonly lock?: LvmsyncError;
  readonly places?: Places;
}

function judgeAll(volumes: readonly FilledVolume[], about: Circumstances = {}): CycleStatus[] {
  const { maxAge, now = NOW, lock, places = new Map() } = about;
  const checkFree = (): void => {
    if (lock !== undefined) throw lock;
  };
  const facts = { volumes, places, clock: { now, maxAge }, checkFree };
  return findCycles(volumes).cycles.map((cycle) => judgeCycle(cycle, facts));
}

function judge(volumes: readonly FilledVolume[], about: Circumstances = {}): CycleStatus {
  const [cycle = assert.fail('no cycle'), ...others] = judgeAll(volumes, about);
  assert.equal(others.length, 0);
  return cycle;
}

function assertProblem({ problems }: CycleStatus, what: RegExp, remedy: RegExp): void {
  assert.equal(problems.length, 1, JSON.stringify(problems));
  assert.match(problems[0]?.what ?? '', what);
  assert.match(problems[0]?.remedy ?? '', remedy);
}

describe('cycles', () => {
  test('are those of one volume with one tag, and nothing else is', () => {
    const [web, other] = [volume('web'), 'lvmsync_ba9876543210'];
    const volumes = [
      ...[web, mail, volume('snap', { origin: { lvName: 'mail', uuid: mail.uuid } })],
      cycleSnapshot(mail, T2, { tag: other, uuid: 'other' }),
      cycleSnapshot(web, T1),
      cycleSnapshot(mail, T1),
    ];
    const found = judgeAll(volumes).map(({ origin, tag }) => `${origin.lvName} ${tag}`);
    assert.deepEqual(found, [`mail ${TAG}`, `mail ${other}`, `web ${TAG}`]);
    assert.deepEqual(findCycles(volumes).strays, []);
  });

  test('are well with one snapshot, whose age counts', () => {
    const { problems, time, fills, isRunning } = judge([mail, cycleSnapshot(mail, T1)]);
    assert.deepEqual({ problems, time, isRunning }, { problems: [], time: T1, isRunning: false });
    assert.deepEqual(
      fills.map(({ what, percent }) => [what, percent]),
      [['COW store', 10]],
    );
    assert.deepEqual(judge([mail, cycleSnapshot(mail, T1)], { maxAge: 2 * HOUR }).problems, []);
  });

  test('are too old after --max-age: the oldest snapshot counts, also during a run', () => {
    const volumes = [mail, cycleSnapshot(mail, T1), cycleSnapshot(mail, T2)];
    const lock = new LvmsyncError('locked', 'x', { hint: WAIT_FOR_RUN });
    const old = judge(volumes, { maxAge: 1.5 * HOUR, lock });
    assertProblem(
      old,
      /^the last success is 2 h ago: --max-age allows 1 h 30 min$/,
      /its cycle command again/,
    );
    assert.equal(old.isRunning, true);
  });

  test('are told when a wrong clock hides their age', () => {
    const now = Date.parse(T1) - HOUR;
    assertProblem(judge([mail, cycleSnapshot(mail, T1)], { now }), /in the future/, /timedatectl$/);
  });

  test('were interrupted where there are two snapshots and no run', () => {
    const volumes = [mail, cycleSnapshot(mail, T1), cycleSnapshot(mail, T2)];
    assertProblem(
      judge(volumes),
      /interrupted: it left 2 snapshots$/,
      /^Run its cycle command again/,
    );
    const lock = new LvmsyncError('locked', 'x', { hint: WAIT_FOR_RUN });
    assert.deepEqual(judge(volumes, { lock }).problems, []);
  });

  test('have a snapshot that was not finished, also as the only one, or without an origin', () => {
    const made = cycleSnapshot(mail, T1);
    const unconfirmed = { ...made, tags: [...made.tags, UNCONFIRMED_TAG] };
    for (const one of [unconfirmed, { ...made, origin: undefined }]) {
      const cycle = judge([mail, one]);
      assert.deepEqual([cycle.time, cycle.snapshots[0]?.state], [undefined, 'unfinished']);
      assertProblem(cycle, /interrupted: it left 1 snapshot$/, /again/);
    }
  });

  test('say why a lock file holds them up that no run has', () => {
    const lock = new LvmsyncError('locked', 'the lock file x cannot be read', {
      hint: 'Remove x.',
    });
    assertProblem(judge([mail, cycleSnapshot(mail, T1)], { lock }), /lock file x/, /Remove x/);
  });

  test('have a base that overflowed: a comparison helps; a newer one that did does not need it', () => {
    const lost = { invalid: true, dataPercent: 100 };
    const [base] = judge([mail, cycleSnapshot(mail, T1, lost)]).problems;
    assert.match(base?.what ?? '', /^vg0\/mail-lvmsync-\S+ of \S+: it overflowed, so its list/);
    assert.match(base?.remedy ?? '', /^Run its cycle command with --compare: it reads/);
    const both = judge([mail, cycleSnapshot(mail, T1), cycleSnapshot(mail, T2, lost)]);
    assert.match(both.problems[0]?.remedy ?? '', /with a larger --size: it removes this snapshot/);
  });

  test('have words of their own where those of the unit are known', () => {
    const place = {
      destination: 'root@backup:/x',
      directory: '/chain',
      words: 'vg0/mail backup:/x',
    };
    const about = { places: new Map([[TAG, place]]) };
    const lost = { invalid: true, dataPercent: 100 };
    const [base] = judge([mail, cycleSnapshot(mail, T1, lost)], about).problems;
    assert.match(
      base?.remedy ?? '',
      /^Run "lvmsync cycle vg0\/mail backup:\/x --compare": it reads/,
    );
    const [left] = judge([mail, cycleSnapshot(mail, T1), cycleSnapshot(mail, T2)], about).problems;
    assert.match(left?.remedy ?? '', /^Run "lvmsync cycle vg0\/mail backup:\/x" again/);
  });

  test('cannot run while a snapshot is merged into their volume, theirs or another one', () => {
    const own = judge([mail, cycleSnapshot(mail, T1, { merging: true })]);
    assertProblem(
      own,
      /it is being merged into its origin/,
      /lvchange -an vg0\/mail.*Run its cycle/,
    );
    const origin = { lvName: 'mail', uuid: mail.uuid };
    const other = volume('other', { origin, merging: true });
    assertProblem(
      judge([mail, other, cycleSnapshot(mail, T1)]),
      /^vg0\/mail: a merge of vg0\/other/,
      /merge/,
    );
  });

  test('have a snapshot that is nearly full', () => {
    assertProblem(
      judge([mail, cycleSnapshot(mail, T1, { dataPercent: 91.5 })]),
      /^COW store of vg0\/mail-lvmsync-\S+: 91\.5% full; the snapshot is lost if it overflows$/,
      /^Make room: lvextend --size \+SIZE vg0\/mail-lvmsync-\S+\.$/,
    );
  });

  test('are not well where LVM does not know how full a snapshot is', () => {
    const inactive = { deviceNumber: undefined, dataPercent: undefined };
    const cycle = judge([mail, cycleSnapshot(mail, T1, inactive)]);
    assertProblem(cycle, /it is inactive, so LVM does not know/, /lvchange -ay -K vg0\/mail$/);
    const unknown = judge([mail, cycleSnapshot(mail, T1, { dataPercent: undefined })]);
    assert.equal(unknown.problems.length, 1);
  });

  test('of a thin volume depend on data and metadata of its pool', () => {
    const thin = volume('thin', { segmentType: 'thin', poolName: 'pool' });
    const pool = volume('pool', {
      segmentType: 'thin-pool',
      dataPercent: 40,
      metadataPercent: 12.5,
    });
    const of = (one: FilledVolume): CycleStatus => judge([thin, one, thinSnapshot(thin, T1)]);
    const { fills, problems } = of(pool);
    assert.deepEqual(
      fills.map(({ name, what, percent }) => `${name} ${what} ${percent}`),
      ['vg0/pool data 40', 'vg0/pool metadata 12.5'],
    );
    assert.deepEqual(problems, []);
    assertProblem(
      of({ ...pool, metadataPercent: 85 }),
      /metadata of vg0\/pool: 85\.0%/,
      /--poolmetadatasize/,
    );
    assertProblem(
      of({ ...pool, dataPercent: undefined, metadataPercent: undefined }),
      /the pool vg0\/pool does not say/,
      /lvchange/,
    );
  });
});

test('a unit whose cycle has no snapshot says how it begins, and how it is forgotten', () => {
  const place = { destination: 'backup:/x', directory: '/chain', words: 'vg0/mail backup:/x' };
  const file = '/etc/lvmsync/cycle/mail.conf';
  const places = new Map([[TAG, { ...place, file }]]);
  const [problem, ...others] = idleUnits(places, []);
  assert.equal(others.length, 0);
  assert.match(problem?.remedy ?? '', /: lvmsync cycle --init vg0\/mail backup:\/x; .*: rm \/etc/);
  assert.deepEqual(idleUnits(places, findCycles([mail, cycleSnapshot(mail, T1)]).cycles), []);
  assert.deepEqual(idleUnits(new Map([[TAG, place]]), []), [], 'it was begun by hand');
});

describe('a snapshot whose volume is gone', () => {
  test('is of no cycle, and may be removed', () => {
    const stray = { ...thinSnapshot(volume('gone', { poolName: 'pool' }), T1), origin: undefined };
    const { cycles, strays } = findCycles([mail, stray]);
    assert.deepEqual([cycles, strays], [[], [stray]]);
    assert.match(
      strayProblem(stray).remedy ?? '',
      /: lvremove vg0\/gone-lvmsync-20261123T100000Z$/,
    );
  });

  test('as one that lost a tag', () => {
    const whole = cycleSnapshot(mail, T1);
    for (const tag of whole.tags.slice(1)) {
      const { strays } = findCycles([
        mail,
        { ...whole, tags: whole.tags.filter((one) => one !== tag) },
      ]);
      assert.equal(strays.length, 1, tag);
    }
  });
});

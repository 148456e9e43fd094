import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PendingStep, Point } from '../../../src/chain/record.js';
import { planTurn, type TurnFacts, type TurnPlan } from '../../../src/cycle/plan.js';
import type { CycleSnapshot } from '../../../src/cycle/volumes.js';

type State = CycleSnapshot['state'];

/** Number n was made in second n. */
function snapshot(n: number, state: State = 'whole'): CycleSnapshot {
  return { vgName: 'vg', lvName: `snap${n}`, ...point(n), state };
}

function point(n: number): Point {
  return { uuid: `uuid-${n}`, time: `2026-11-23T10:00:0${n}Z` };
}

function doing(what: 'init' | 'turn' | 'mend', n: number, foreign = true): PendingStep {
  return what === 'mend' ? { what, to: point(n), foreign } : { what, to: point(n) };
}

const ROLLBACK: PendingStep = {
  what: 'rollback',
  to: point(1),
  folder: 'undone-x',
  redo: '0'.repeat(32),
};
const REDO: PendingStep = { what: 'redo', folder: 'undone-x', redo: '0'.repeat(32) };

interface Situation {
  readonly snapshots?: readonly CycleSnapshot[];
  readonly point?: Point;
  readonly doing?: PendingStep;
  readonly options?: string;
  /** Something else wrote to the copy. */
  readonly written?: boolean;
  readonly wentBack?: boolean;
  readonly mends?: false;
}

function facts({ snapshots = [], options = '', mends, ...chain }: Situation): TurnFacts {
  return {
    ...(mends === false && { mends }),
    snapshots,
    chain: {
      ...{ point: chain.point, doing: chain.doing },
      ...(chain.written && { written: true }),
      ...(chain.wentBack && { wentBack: true }),
    },
    init: options.includes('--init'),
    force: options.includes('--force'),
    compare: comparisonOf(options),
  };
}

function comparisonOf(options: string): TurnFacts['compare'] {
  if (options.includes('--compare=lost')) return 'lost';
  return options.includes('--compare') ? 'any' : undefined;
}

/**
 * `-1 2>3 -2`: removes 1 first, goes from 2 to 3, removes 2 after; `*` is all, and a new snapshot; `=2`: the copy is
 * made equal to 2 first; `2?3`: compared.
 */
function notation(plan: TurnPlan): string {
  if (plan.kind === 'refused') return plan.refusal.why;
  const { removeFirst, mend, base, next, compare, removeAfter } = plan.turn;
  const number = (one: CycleSnapshot | undefined): string => one?.lvName.slice(4) ?? '*';
  const removals = (list: readonly CycleSnapshot[]): string[] =>
    list.map((one) => `-${number(one)}`);
  return [
    ...removals(removeFirst),
    ...(mend ? [`=${number(mend)}`] : []),
    compare === undefined
      ? `${number(base)}>${number(next)}`
      : `${compare.from?.uuid.slice(5) ?? '*'}?${number(next)}`,
    ...removals(removeAfter),
  ].join(' ');
}

const CASES: readonly [title: string, situation: Situation, expected: string][] = [
  ['an empty chain is refused without --init', {}, 'noPoint'],
  ['--init begins with a full copy of a new snapshot', { options: '--init' }, '*>*'],
  [
    'a full copy that was interrupted goes on with its snapshot',
    { snapshots: [snapshot(1)], doing: doing('init', 1), options: '--init' },
    '*>1',
  ],
  [
    'a full copy that was interrupted is not followed by a turn',
    { snapshots: [snapshot(1)], doing: doing('init', 1) },
    'noPoint',
  ],
  [
    'one that was forced over a point is not followed by a turn either',
    { snapshots: [snapshot(1), snapshot(2)], point: point(1), doing: doing('init', 2) },
    'noPoint',
  ],
  [
    'of several left over the newest is copied; the others go when it is there',
    { snapshots: [snapshot(1), snapshot(2)], options: '--init' },
    '*>2 -1',
  ],
  [
    'what was not finished or overflowed is removed before a full copy',
    { snapshots: [snapshot(1, 'lost'), snapshot(2, 'unfinished')], options: '--init' },
    '-1 -2 *>*',
  ],
  [
    '--init is refused where a point is held',
    { snapshots: [snapshot(1)], point: point(1), options: '--init' },
    'holdsPoint',
  ],
  [
    '--init --force copies a new snapshot, and keeps that of the point until then',
    { snapshots: [snapshot(1)], point: point(1), options: '--init --force' },
    '*>* -1',
  ],
  [
    '--init --force keeps a lost base, too, until the copy is there',
    { snapshots: [snapshot(1, 'lost')], point: point(1), options: '--init --force' },
    '*>* -1',
  ],
  [
    '--init --force removes what is older than the point before it makes another',
    { snapshots: [snapshot(1)], point: point(2), options: '--init --force' },
    '-1 *>*',
  ],
  [
    'a turn leads from the snapshot of the point to a new one',
    { snapshots: [snapshot(1)], point: point(1) },
    '1>* -1',
  ],
  [
    'a newer snapshot of which nothing was sent is gone on with',
    { snapshots: [snapshot(1), snapshot(2)], point: point(1) },
    '1>2 -1',
  ],
  [
    'a turn that was begun goes on with its own snapshot, not with the newest',
    {
      snapshots: [snapshot(1), snapshot(2), snapshot(3)],
      point: point(1),
      doing: doing('turn', 2),
    },
    '1>2 -1 -3',
  ],
  [
    'a turn that was begun is refused where its snapshot is gone',
    { snapshots: [snapshot(1), snapshot(3)], point: point(1), doing: doing('turn', 2) },
    'nextGone',
  ],
  [
    'a turn that was begun is refused where its snapshot overflowed',
    { snapshots: [snapshot(1), snapshot(2, 'lost')], point: point(1), doing: doing('turn', 2) },
    'nextLost',
  ],
  [
    'a new snapshot that overflowed before anything was sent is replaced',
    { snapshots: [snapshot(1), snapshot(2, 'lost')], point: point(1) },
    '-2 1>* -1',
  ],
  [
    'one that may not have been made between freeze and thaw is replaced',
    { snapshots: [snapshot(1), snapshot(2, 'unfinished')], point: point(1) },
    '-2 1>* -1',
  ],
  [
    'a base that was confirmed but not rotated out is removed first',
    { snapshots: [snapshot(1), snapshot(2)], point: point(2) },
    '-1 2>* -2',
  ],
  [
    'the same with a turn begun after it',
    {
      snapshots: [snapshot(1), snapshot(2), snapshot(3)],
      point: point(2),
      doing: doing('turn', 3),
    },
    '-1 2>3 -2',
  ],
  ['a base that is gone is refused', { point: point(1) }, 'baseGone'],
  [
    'a base that is gone is refused, whatever else is there',
    { snapshots: [snapshot(2)], point: point(1) },
    'baseGone',
  ],
  [
    'a base that overflowed is refused',
    { snapshots: [snapshot(1, 'lost'), snapshot(2)], point: point(1) },
    'baseLost',
  ],
  [
    'a rollback that was begun is refused',
    { snapshots: [snapshot(1)], point: point(1), doing: ROLLBACK },
    'rollback',
  ],
  [
    'one that is being taken back, too',
    { snapshots: [snapshot(1)], point: point(1), doing: REDO },
    'rollback',
  ],
  [
    '--init alone does not go over a rollback',
    { snapshots: [snapshot(1)], point: point(1), doing: ROLLBACK, options: '--init' },
    'rollback',
  ],
  [
    'nor does --force alone',
    { snapshots: [snapshot(1)], point: point(1), doing: REDO, options: '--force' },
    'rollback',
  ],
  [
    '--init --force begins anew over one that cannot be finished',
    { snapshots: [snapshot(2)], point: point(2), doing: ROLLBACK, options: '--init --force' },
    '*>* -2',
  ],
  [
    'and over one that is being taken back',
    { snapshots: [snapshot(2)], point: point(1), doing: REDO, options: '--init --force' },
    '*>2',
  ],
  [
    'a snapshot that is being merged is never removed: all is refused',
    { snapshots: [snapshot(1), snapshot(2, 'merging')], point: point(1) },
    'merging',
  ],
  [
    '--compare compares nothing where the changes are known',
    { snapshots: [snapshot(1)], point: point(1), options: '--compare' },
    '1>* -1',
  ],
  [
    '--compare --force makes the copy equal to its snapshot in any case',
    { snapshots: [snapshot(1)], point: point(1), options: '--compare --force' },
    '=1 1>* -1',
  ],
  [
    '--compare makes a copy that was written to equal to its snapshot first',
    { snapshots: [snapshot(1)], point: point(1), written: true, options: '--compare' },
    '=1 1>* -1',
  ],
  [
    '--compare finishes that, and then goes on with what an attempt left',
    {
      ...{ snapshots: [snapshot(1), snapshot(2)], point: point(1), doing: doing('mend', 1) },
      options: '--compare',
    },
    '=1 1>2 -1',
  ],
  [
    'nothing else finishes it',
    { snapshots: [snapshot(1)], point: point(1), doing: doing('mend', 1) },
    'mending',
  ],
  [
    '--compare goes on with an attempt as any other turn',
    {
      ...{ snapshots: [snapshot(1), snapshot(2)], point: point(1), doing: doing('turn', 2) },
      options: '--compare',
    },
    '1>2 -1',
  ],
  [
    '--compare overwrites what an attempt left whose snapshot is gone',
    {
      ...{ snapshots: [snapshot(1)], point: point(1), doing: doing('turn', 2) },
      options: '--compare',
    },
    '=1 1>* -1',
  ],
  [
    '--compare overwrites what an attempt left whose snapshot overflowed',
    {
      ...{ snapshots: [snapshot(1), snapshot(2, 'lost')], point: point(1) },
      ...{ doing: doing('turn', 2), options: '--compare' },
    },
    '-2 =1 1>* -1',
  ],
  [
    '--compare does without the snapshot of the point',
    { point: point(1), options: '--compare' },
    '1?*',
  ],
  [
    '--compare removes one that overflowed first',
    { snapshots: [snapshot(1, 'lost')], point: point(1), options: '--compare' },
    '-1 1?*',
  ],
  [
    '--compare without a base goes on with the snapshot of an attempt',
    {
      ...{ snapshots: [snapshot(2), snapshot(3)], point: point(1), doing: doing('turn', 2) },
      options: '--compare',
    },
    '1?2 -3',
  ],
  [
    '--compare without a base makes another one where that of an attempt overflowed',
    {
      ...{ snapshots: [snapshot(2, 'lost')], point: point(1), doing: doing('turn', 2) },
      options: '--compare',
    },
    '-2 1?*',
  ],
  [
    '--compare does not go on from a rollback that is not finished',
    { snapshots: [snapshot(1)], point: point(1), doing: ROLLBACK, options: '--compare' },
    'rollback',
  ],
  [
    '--compare=lost does without the snapshot of the point',
    { snapshots: [snapshot(1, 'lost')], point: point(1), options: '--compare=lost' },
    '-1 1?*',
  ],
  [
    '--compare=lost overwrites what an attempt left whose snapshot is gone',
    {
      ...{ snapshots: [snapshot(1)], point: point(1), doing: doing('turn', 2) },
      options: '--compare=lost',
    },
    '=1 1>* -1',
  ],
  [
    '--compare=lost does not finish what was begun since something else wrote',
    {
      ...{ snapshots: [snapshot(1)], point: point(1), doing: doing('mend', 1) },
      options: '--compare=lost',
    },
    'mending',
  ],
  [
    '--compare=lost finishes what only an attempt made necessary',
    {
      ...{ snapshots: [snapshot(1)], point: point(1), doing: doing('mend', 1, false) },
      options: '--compare=lost',
    },
    '=1 1>* -1',
  ],
  [
    '--compare=lost leaves a rollback alone',
    { snapshots: [snapshot(2)], point: point(1), wentBack: true, options: '--compare=lost' },
    'baseGone',
  ],
  [
    '--compare after a rollback makes a snapshot of its own',
    { snapshots: [snapshot(2)], point: point(1), wentBack: true, options: '--compare' },
    '1?* -2',
  ],
  [
    'after a rollback a run that was interrupted while it compared goes on, and makes no further snapshot',
    {
      snapshots: [snapshot(2), snapshot(3)],
      point: point(1),
      wentBack: true,
      options: '--compare',
    },
    '1?3 -2',
  ],
  [
    'after a rollback of an attempt alone its snapshot is gone on with',
    {
      ...{ snapshots: [snapshot(1), snapshot(2)], point: point(1), wentBack: true, written: true },
      ...{ options: '--compare', mends: false },
    },
    '1?2 -1',
  ],
  [
    'a copy that does not trust its source is not made equal to its point, but compared',
    {
      snapshots: [snapshot(1)],
      point: point(1),
      written: true,
      options: '--compare',
      mends: false,
    },
    '1?* -1',
  ],
  [
    'nor while nothing is in doubt',
    { snapshots: [snapshot(1)], point: point(1), options: '--compare', mends: false },
    '1>* -1',
  ],
  [
    'nor what is left of a run of a host that did',
    {
      snapshots: [snapshot(1)],
      point: point(1),
      doing: { what: 'mend', to: point(1), foreign: true },
      options: '--compare',
      mends: false,
    },
    '1?* -1',
  ],
  ['--compare needs a history', { options: '--compare' }, 'noPoint'],
  ['--init --compare begins one on a copy that exists', { options: '--init --compare' }, '*?*'],
  [
    '--init --compare goes on with its snapshot',
    { snapshots: [snapshot(1)], doing: doing('init', 1), options: '--init --compare' },
    '*?1',
  ],
];

describe('the plan of a turn', () => {
  for (const [title, situation, expected] of CASES) {
    test(title, () => assert.equal(notation(planTurn(facts(situation))), expected));
  }

  test('removes nothing that it uses, and before it is done not the snapshot of the point, in any situation', () => {
    let turns = 0;
    for (const situation of everySituation()) {
      const plan = planTurn(facts(situation));
      const why = `${JSON.stringify(situation)}: ${notation(plan)}`;
      if (plan.kind === 'refused') continue;
      turns++;
      const { removeFirst, base, next, removeAfter } = plan.turn;
      assert.ok(!removeFirst.some(({ uuid }) => uuid === situation.point?.uuid), why);
      assert.ok(base === undefined || base.uuid === situation.point?.uuid, why);
      assert.ok(next === undefined || next.state === 'whole', why);
      for (const one of [...removeFirst, ...removeAfter]) assert.notEqual(one, next, why);
      assert.ok(base === undefined || !removeFirst.includes(base), why);
      const left = situation.snapshots?.filter(
        (one) => ![...removeFirst, ...removeAfter].includes(one),
      );
      assert.deepEqual(left, next === undefined ? [] : [next], why);
      if (base !== undefined && situation.doing?.what === 'turn') {
        assert.equal(next?.uuid, situation.doing.to.uuid, why);
      }
    }
    assert.ok(turns > 500, `${turns} were turns`);
  });
});

/** Each of three snapshots in each state or not there, each point, each thing being done, each option. */
function* everySituation(): Generator<Situation> {
  const states = ['whole', 'unfinished', 'lost', 'merging', undefined] as const;
  const points = [undefined, point(1), point(2), point(3)];
  const begun = [undefined, doing('init', 2), doing('turn', 2), doing('turn', 3), ROLLBACK, REDO];
  for (let code = 0; code < states.length ** 3; code++) {
    const snapshots = [1, 2, 3].flatMap((n) => {
      const state = states[Math.floor(code / states.length ** (n - 1)) % states.length];
      return state === undefined ? [] : [snapshot(n, state)];
    });
    for (const held of points) {
      for (const one of begun) {
        for (const options of ['', '--init', '--init --force', '--force']) {
          yield {
            ...{ snapshots, options },
            ...(held && { point: held }),
            ...(one && { doing: one }),
          };
        }
      }
    }
  }
}

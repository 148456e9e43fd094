import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  formatKeepRule,
  type KeepRule,
  parseKeepRule,
  turnsToPrune,
} from '../../../src/chain/keep.js';
import { orderChain } from '../../../src/chain/order.js';
import type { Point } from '../../../src/chain/record.js';
import { pointAt } from '../../helpers/chain/chain-laboratory.js';
import { modelChain } from '../../helpers/chain/chain-model.js';

const HOUR = 3600;

describe('parseKeepRule', () => {
  const rules: readonly [string, KeepRule | undefined][] = [
    ['24', { turns: 24 }],
    ['12h', { seconds: 12 * HOUR }],
    ['30d', { seconds: 30 * 24 * HOUR }],
    ['8w', { seconds: 8 * 7 * 24 * HOUR }],
    ['0', undefined],
    ['0d', undefined],
    ['', undefined],
    ['d', undefined],
    ['-1', undefined],
    ['1.5d', undefined],
    ['3m', undefined],
    ['1234567', undefined],
  ];
  for (const [text, rule] of rules) {
    test(`takes "${text}" for ${rule === undefined ? 'no rule' : JSON.stringify(rule)}`, () => {
      assert.deepEqual(parseKeepRule(text), rule);
    });
  }
});

/** Of a chain whose points are of those hours, oldest first: how many turns are pruned. */
function prunedAt(
  hours: readonly number[],
  rules: readonly KeepRule[],
  now = Date.parse(pointAt(Math.max(...hours)).time),
): number {
  const points = hours.map((hour, number) => ({ ...pointAt(hour), uuid: `point-${number}` }));
  const at = (number: number): Point => points.at(number) ?? assert.fail('no such point');
  const { record, links } = modelChain(hours.slice(1).map(() => 1));
  const timed = links.map((link, turn) => ({ ...link, from: at(turn), to: at(turn + 1) }));
  const { turns } = orderChain(record, timed);
  return turnsToPrune(rules, { point: at(-1), turns, now }).length;
}

describe('formatKeepRule', () => {
  test('writes of every rule what parseKeepRule takes for the same', () => {
    const unit = fc.constantFrom('', 'h', 'd', 'w');
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999 }), unit, (count, letter) => {
        const rule = parseKeepRule(`${count}${letter}`) ?? assert.fail('no rule');
        assert.deepEqual(parseKeepRule(formatKeepRule(rule)), rule, formatKeepRule(rule));
      }),
    );
  });
});

describe('turnsToPrune', () => {
  /** Of a chain with a turn an hour: how many are pruned. */
  const pruned = (turns: number, ...rules: KeepRule[]): number => {
    return prunedAt(
      Array.from({ length: turns + 1 }, (_, hour) => hour),
      rules,
    );
  };
  const cases: readonly [string, number, number][] = [
    ['everything without a rule', pruned(10), 0],
    ['so many of the newest', pruned(10, { turns: 3 }), 7],
    ['all where there are fewer', pruned(2, { turns: 3 }), 0],
    // The newest is of the present hour, and one hour is the longest pause: two hours are four turns.
    ['those of the last hours', pruned(10, { seconds: 2 * HOUR }), 6],
    ['what any rule keeps: the count', pruned(10, { turns: 5 }, { seconds: HOUR }), 5],
    ['what any rule keeps: the age', pruned(10, { turns: 1 }, { seconds: 3 * HOUR }), 5],
    ['the newest turn, however short the age', pruned(1, { seconds: 1 }), 0],
  ];
  for (const [what, actual, expected] of cases) {
    test(`keeps ${what}`, () => assert.equal(actual, expected));
  }

  describe('after a rest of 32 days, of which 30 are kept,', () => {
    const rest = 32 * 24;
    const DAYS_30 = [{ seconds: 30 * 24 * HOUR }];
    const before = [0, 1, 2, 3, 4];
    const after = (turns: number): number[] =>
      Array.from({ length: turns }, (_, turn) => 4 + rest + turn);
    const young: readonly [what: string, hours: readonly number[], expected: number][] = [
      ['the first turn removes nothing', [...before, ...after(1)], 0],
      ['nor does the second', [...before, ...after(2)], 0],
      ['nor any until the turns themselves are of that age', [...before, ...after(30 * 24 - 3)], 0],
      ['then the past goes turn by turn', [...before, ...after(30 * 24)], 2],
      ['until all of it is gone', [...before, ...after(30 * 24 + 2)], 4],
      ['a second rest as long counts', [...before, ...after(2), 4 + 3 * rest], 4],
    ];
    for (const [what, hours, expected] of young) {
      test(what, () => assert.equal(prunedAt(hours, DAYS_30), expected));
    }
  });

  describe('with a point that is ahead of the clock', () => {
    const pruned = (minutesAhead: number, ...rules: KeepRule[]): number => {
      const hours = [0, 1, 2, 3, 4, 5];
      return prunedAt(hours, rules, Date.parse(pointAt(5).time) - minutesAhead * 60_000);
    };
    const [ONE_HOUR, ONE_TURN] = [{ seconds: HOUR }, { turns: 1 }];
    test('removes nothing for its age', () => {
      assert.equal(pruned(60, ONE_HOUR), 0);
      assert.equal(pruned(60, ONE_TURN, ONE_HOUR), 0);
    });
    test('still counts turns', () => assert.equal(pruned(60, ONE_TURN), 4));
    test('takes a clock that is a little behind for right', () => {
      assert.deepEqual([pruned(5, ONE_HOUR), pruned(6, ONE_HOUR)], [2, 0]);
    });
  });

  test('removes from the old end only, and nothing that a rule keeps, also where clocks jumped', () => {
    const rule = fc.oneof(
      fc.record({ turns: fc.integer({ min: 1, max: 12 }) }),
      fc.record({ seconds: fc.integer({ min: 1, max: 20 * HOUR }) }),
    );
    const hours = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 3 }), hours, (rules, times) => {
        const { record, links } = modelChain(times.map(() => 1));
        const turns = orderChain(record, links).turns.map((turn, index) => ({
          ...turn,
          to: { ...turn.to, time: pointAt(times[index] ?? 0).time },
        }));
        const point = { ...pointAt(0), time: turns[0]?.to.time ?? '' };
        const now = Date.parse(pointAt(20).time);
        const gone = turnsToPrune(rules, { point, turns, now });
        assert.deepEqual(gone, turns.slice(turns.length - gone.length));
        for (const turn of gone) {
          const index = turns.indexOf(turn);
          const age = (Date.parse(point.time) - Date.parse(turn.to.time)) / 1000;
          for (const one of rules) {
            assert.ok('turns' in one ? index >= one.turns : age > one.seconds);
          }
        }
      }),
    );
  });
});

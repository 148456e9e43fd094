import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type KeepRule, parseKeepRule, turnsToPrune } from '../../src/chain-keep.js';
import { orderChain } from '../../src/chain-order.js';
import { pointAt } from '../helpers/chain-laboratory.js';
import { modelChain } from '../helpers/chain-model.js';

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
    it(`takes "${text}" for ${rule === undefined ? 'no rule' : JSON.stringify(rule)}`, () => {
      assert.deepEqual(parseKeepRule(text), rule);
    });
  }
});

describe('turnsToPrune', () => {
  /** Of a chain with a turn an hour: how many are pruned. */
  const pruned = (turns: number, ...rules: KeepRule[]): number => {
    const { record, links } = modelChain(Array.from({ length: turns }, () => 1));
    return turnsToPrune(rules, pointAt(turns), orderChain(record, links).turns).length;
  };
  const cases: readonly [string, number, number][] = [
    ['everything without a rule', pruned(10), 0],
    ['so many of the newest', pruned(10, { turns: 3 }), 7],
    ['all where there are fewer', pruned(2, { turns: 3 }), 0],
    // The newest is of the present hour, so two hours are three turns.
    ['those of the last hours', pruned(10, { seconds: 2 * HOUR }), 7],
    ['what any rule keeps: the count', pruned(10, { turns: 5 }, { seconds: HOUR }), 5],
    ['what any rule keeps: the age', pruned(10, { turns: 1 }, { seconds: 3 * HOUR }), 6],
    ['the newest turn, however short the age', pruned(1, { seconds: 1 }), 0],
  ];
  for (const [what, actual, expected] of cases) {
    it(`keeps ${what}`, () => assert.equal(actual, expected));
  }

  it('removes from the old end only, and nothing that a rule keeps, also where clocks jumped', () => {
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
        const gone = turnsToPrune(rules, point, turns);
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

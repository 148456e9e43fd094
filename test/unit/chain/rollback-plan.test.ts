import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LvmsyncError } from '../../../src/base/errors.js';
import { type Linked, orderChain } from '../../../src/chain/order.js';
import type { ChainRecord } from '../../../src/chain/record.js';
import {
  describeWay,
  planRollback,
  type RollbackPlan,
  type RollbackTarget,
} from '../../../src/chain/rollback-plan.js';
import { pointAt } from '../../helpers/chain/chain-laboratory.js';
import { idOf, linkAfter, modelChain } from '../../helpers/chain/chain-model.js';

const undone = { folder: 'undone-x', redo: idOf(99) };

function plan(
  { record, links }: { readonly record: ChainRecord; readonly links: readonly Linked[] },
  target: RollbackTarget,
): RollbackPlan {
  return planRollback(record, orderChain(record, links), target);
}

function refusedWith(status: number, message: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof LvmsyncError && error.exitStatus === status && message.test(error.message);
}

const until = (text: string): RollbackTarget => ({ until: Date.parse(text), text });

describe('planRollback', () => {
  const chain = modelChain([1, 3, 1]);
  const named: readonly [string, RollbackTarget, number][] = [
    ['the time of a point', until(pointAt(1).time), 1],
    ['a time between two points', until('2026-11-23T01:30:00Z'), 1],
    ['a time after the newest', until('2030-01-01T00:00:00Z'), 3],
    ['the time of the oldest', until(pointAt(0).time), 0],
    ['no steps', { steps: 0 }, 3],
    ['two steps', { steps: 2 }, 1],
  ];
  for (const [what, target, expected] of named) {
    test(`takes ${what} for point ${expected}`, () => {
      assert.deepEqual(plan(chain, target).to, pointAt(expected));
    });
  }

  test('undoes every run since the point, newest first, and none before it', () => {
    const attempts = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 8 });
    fc.assert(
      fc.property(attempts, fc.nat(), (runs, some) => {
        const model = modelChain(runs);
        const steps = some % (runs.length + 1);
        const { links, complete, last, to } = plan(model, { steps });
        const expected = model.links.filter(({ from }) => from.time >= to.time);
        assert.deepEqual(links, [...expected].reverse());
        assert.equal(complete.size, steps);
        assert.equal(last, model.links[model.links.length - links.length - 1]?.streamId ?? null);
      }),
    );
  });

  test('undoes what a turn left that has not come to its end before all else', () => {
    const attempt = linkAfter(chain.links, 3);
    const record: ChainRecord = {
      ...chain.record,
      last: attempt.streamId,
      doing: { what: 'turn', to: pointAt(4) },
    };
    const model = { record, links: [...chain.links, attempt] };
    assert.deepEqual(plan(model, { steps: 0 }).links, [attempt]);
    assert.deepEqual(plan(model, { steps: 0 }).complete.size, 0);
    assert.deepEqual(plan(model, { steps: 0 }).last, chain.record.last);
    assert.equal(
      describeWay(plan(model, { steps: 0 }), record),
      'undoes what the unfinished cycle run of 2026-11-23T04:00:00Z wrote',
    );
    assert.match(describeWay(plan(model, { steps: 1 }), record), /^from .* back to .* earlier$/);
    assert.deepEqual(plan(model, { steps: 1 }).links, [attempt, chain.links[4]]);
  });

  const refused: readonly [string, () => unknown, (error: unknown) => boolean][] = [
    [
      'a time before the oldest point',
      () => plan(chain, until('2026-11-22T23:59:59Z')),
      refusedWith(12, /does not go back to .*, only 3 steps, to 2026-11-23T00:00:00Z$/),
    ],
    [
      'more steps than there are',
      () => plan(chain, { steps: 4 }),
      refusedWith(12, /does not go back 4 steps, only 3 steps, to 2026-11-23T00:00:00Z$/),
    ],
    [
      'to go over a gap',
      () => plan({ ...chain, links: chain.links.slice(1) }, { steps: 3 }),
      refusedWith(15, /is missing/),
    ],
    [
      'a chain without a point',
      () => plan({ ...chain, record: { ...chain.record, point: null } }, { steps: 0 }),
      refusedWith(12, /the full copy is not finished/),
    ],
    [
      'to begin while a redo is under way',
      () =>
        plan(
          { ...chain, record: { ...chain.record, doing: { what: 'redo', ...undone } } },
          { steps: 1 },
        ),
      refusedWith(12, /a rollback --redo is not finished/),
    ],
  ];
  for (const [what, action, expected] of refused) {
    test(`refuses ${what}`, () => assert.throws(action, expected));
  }

  test('after a rollback that was cut off goes as far or further, never less far', () => {
    const doing = { what: 'rollback', to: pointAt(1), ...undone } as const;
    const model = { ...chain, record: { ...chain.record, doing } };
    assert.deepEqual(plan(model, { steps: 2 }).to, pointAt(1));
    assert.deepEqual(plan(model, { steps: 3 }).to, pointAt(0));
    for (const steps of [0, 1]) {
      assert.throws(() => plan(model, { steps }), refusedWith(12, /is not finished/));
    }
  });
});

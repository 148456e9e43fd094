import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isOver, isWhole, sharedIn, withEnding } from '../../../src/chain/turn-parts.js';
import { pointAt } from '../../helpers/chain/chain-laboratory.js';
import { idOf, modelChain } from '../../helpers/chain/chain-model.js';

const { record } = modelChain([1]);
const parts = { set: idOf(7), count: 3, ended: [], failed: [], places: [] };
const begun = sharedIn({ ...record, doing: { what: 'turn', to: pointAt(2), parts } }, idOf(7));
assert.ok(begun);
const ended = (index: number, places: readonly number[] = []) =>
  ({ how: 'ended', index, places }) as const;
const failed = (index: number) => ({ how: 'failed', index, places: [] }) as const;

function after(...ends: readonly (ReturnType<typeof ended> | ReturnType<typeof failed>)[]) {
  assert.ok(begun);
  return ends.reduce((shared, { index, ...end }) => withEnding(shared, index, end), begun);
}

describe('a turn of several streams', () => {
  test('is whole when each of them has ended, in whatever order, however often it says so', () => {
    assert.equal(isWhole(after(ended(2), ended(1), ended(2))), false);
    assert.equal(isWhole(after(ended(2), ended(1), ended(3))), true);
  });

  test('is never whole where one of them failed', () => {
    const one = after(ended(2), ended(1), failed(3));
    assert.deepEqual([isWhole(one), isOver(one)], [false, true]);
    const none = after(failed(2), failed(1), failed(3));
    assert.deepEqual([isWhole(none), isOver(none)], [false, true]);
  });

  test('is not over as long as one of them may write', () => {
    assert.equal(isOver(after(ended(2), failed(2), failed(1))), false);
  });

  test('keeps some places of each, mixed', () => {
    const of = (start: number) => Array.from({ length: 16 }, (_, i) => start + i);
    const { places } = after(ended(1, of(100)), ended(2, of(200)), ended(3, of(300))).doing.parts;
    for (const start of [100, 200, 300]) {
      const own = places.filter((place) => place >= start && place < start + 100);
      assert.equal(own.length, 5);
      assert.ok(
        places.slice(0, 8).some((place) => own.includes(place)),
        `${places}`,
      );
    }
  });

  test('is not that of another set, nor of a record that names none', () => {
    assert.equal(sharedIn(begun, idOf(8)), undefined);
    assert.equal(sharedIn(undefined, idOf(7)), undefined);
    const alone = { ...record, doing: { what: 'turn', to: pointAt(2) } } as const;
    assert.equal(sharedIn(alone, idOf(7)), undefined);
    assert.equal(sharedIn({ ...record, doing: null }, idOf(7)), undefined);
  });
});

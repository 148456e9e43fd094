import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  completing,
  type Linked,
  orderChain,
  pointsOf,
  walkBack,
} from '../../../src/chain/order.js';
import { pointAt } from '../../helpers/chain/chain-laboratory.js';
import { idOf, linkAfter, modelChain } from '../../helpers/chain/chain-model.js';

const someAttempts = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 });

function shuffled<T>(items: readonly T[], keys: readonly number[]): T[] {
  return items
    .map((item, index) => ({ item, key: keys[index % keys.length] ?? 0 }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

const names = (links: readonly Linked[]): string[] => links.map(({ name }) => name);

describe('orderChain', () => {
  test('finds every turn, newest first, in whatever order the files come', () => {
    const keys = fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(someAttempts, keys, (attempts, order) => {
        const { record, links } = modelChain(attempts);
        const chain = orderChain(record, shuffled(links, order));
        assert.equal(chain.gap, undefined);
        assert.deepEqual(chain.attempts, []);
        assert.deepEqual(chain.unused, []);
        assert.deepEqual(
          chain.turns.flatMap((turn) => turn.links),
          [...links].reverse(),
        );
        assert.deepEqual(
          chain.turns.map((turn) => turn.links.length),
          [...attempts].reverse(),
        );
        assert.deepEqual(
          pointsOf(pointAt(attempts.length), chain),
          Array.from({ length: attempts.length + 1 }, (_, n) => pointAt(attempts.length - n)),
        );
      }),
    );
  });

  test('does not go back over a turn of which the missing link may have been an attempt', () => {
    const some = someAttempts.filter((attempts) => attempts.length > 0);
    fc.assert(
      fc.property(some, fc.nat(), (attempts, which) => {
        const { record, links } = modelChain(attempts);
        const missing = which % links.length;
        const rest = links.filter((_, index) => index !== missing);
        const chain = orderChain(record, rest);
        assert.match(chain.gap ?? '', /is missing/);
        const newer = links.slice(missing + 1);
        const doubtful = newer[0]?.to.uuid;
        const sure = newer.filter(({ to }) => to.uuid !== doubtful);
        assert.deepEqual(
          chain.turns.flatMap((turn) => turn.links),
          sure.reverse(),
        );
        assert.ok(chain.present);
        assert.deepEqual(chain.unused, links.slice(0, missing));
      }),
    );
  });

  /** From point 2 to the next. */
  const partsAfter = (before: readonly Linked[], set: string, indexes: readonly number[]) => {
    const made: Linked[] = [];
    for (const index of indexes) {
      const part = { set, index, count: 3 };
      made.push({ ...linkAfter([...before, ...made], 2), name: `part ${index}`, part });
    }
    return made;
  };

  test('takes the links of several streams for one turn, and knows which of them completed it', () => {
    const { record, links } = modelChain([1, 1]);
    const attempt = partsAfter(links, 'a', [2, 1]);
    const parts = partsAfter([...links, ...attempt], 'b', [3, 1, 2]);
    const all = [...links, ...attempt, ...parts];
    const last = all.at(-1)?.streamId ?? null;
    const chain = orderChain({ ...record, point: pointAt(3), last }, all);
    assert.equal(chain.gap, undefined);
    assert.deepEqual(names(chain.turns[0]?.links ?? []), [
      ...['part 2', 'part 1', 'part 3'],
      ...['part 1', 'part 2'],
    ]);
    const complete = chain.turns.map((turn) => completing(turn));
    assert.deepEqual(complete[0], [...parts].reverse());
    assert.deepEqual(names(complete[1] ?? []), ['turn 1, run 1']);
  });

  test('does not go back over a turn that has not a link of each stream', () => {
    const { record, links } = modelChain([1, 1]);
    const parts = partsAfter(links, 'a', [3, 1]);
    const point = pointAt(3);
    const last = parts.at(-1)?.streamId ?? null;
    const chain = orderChain({ ...record, point, last }, [...links, ...parts]);
    assert.match(chain.gap ?? '', /^part 1 is one of 3 snapbacks .* names only 2$/);
    assert.deepEqual(chain.turns, []);
    assert.deepEqual(pointsOf(point, chain), [point]);
    // Those of an attempt never have to be there all.
    const doing = { what: 'turn', to: point } as const;
    const begun = orderChain({ ...record, last, doing }, [...links, ...parts]);
    assert.equal(begun.gap, undefined);
    assert.deepEqual(begun.attempts, [...parts].reverse());
  });

  test('does not go back to the recorded point if a link of what was begun is missing', () => {
    const { record, links } = modelChain([1, 1]);
    const attempt = linkAfter(links, 2);
    const again = linkAfter([...links, attempt], 2, 2);
    const doing = { what: 'turn', to: pointAt(3) } as const;
    const chain = orderChain({ ...record, last: again.streamId, doing }, [...links, again]);
    assert.deepEqual([chain.present, chain.attempts, chain.turns], [false, [], []]);
    assert.deepEqual(pointsOf(pointAt(2), chain), []);
    assert.match(chain.gap ?? '', /the snapback before turn 2, run 2 is missing \(/);
  });

  test('begins without a gap where older links were pruned', () => {
    const { record, links } = modelChain([1, 2, 1]);
    const chain = orderChain({ ...record, pruned: idOf(3) }, links.slice(3));
    assert.equal(chain.gap, undefined);
    assert.deepEqual(names(chain.turns.flatMap((turn) => turn.links)), ['turn 2, run 1']);
  });

  test('keeps what a turn left that has not come to its end, apart and first', () => {
    const { record, links } = modelChain([1, 1]);
    const attempt = linkAfter(links, 2);
    const again = linkAfter([...links, attempt], 2, 2);
    const doing = { what: 'turn', to: pointAt(3) } as const;
    const chain = orderChain({ ...record, last: again.streamId, doing }, [
      ...links,
      attempt,
      again,
    ]);
    assert.deepEqual(names(chain.attempts), ['turn 2, run 2', 'turn 2, run 1']);
    assert.equal(chain.turns.length, 2);
    assert.equal(chain.gap, undefined);
  });

  const { record, links } = modelChain([1, 1, 1]);
  const [oldest, middle, newest] = links;
  assert.ok(oldest && middle && newest);
  const refusals: readonly [string, Parameters<typeof orderChain>, RegExp][] = [
    [
      'two files with one stream id',
      [record, [...links, { ...middle, name: 'a copy' }]],
      /turn 1, run 1 and a copy are the same snapback/,
    ],
    [
      'a link that does not lead to where the next one begins',
      [record, [oldest, { ...middle, to: pointAt(7) }, newest]],
      /turn 1, run 1 does not lead to where the next one begins/,
    ],
    [
      'a newest link that does not lead to the point',
      [{ ...record, point: pointAt(9) }, links],
      /does not lead to the present state of the destination/,
    ],
    [
      'an attempt where the record knows of none',
      [{ ...record, last: idOf(4) }, [...links, linkAfter(links, 3)]],
      /turn 3, run 1 does not lead to the present state of the destination/,
    ],
    [
      'links that go round in a circle',
      [record, [{ ...oldest, previous: newest.streamId }, middle, newest]],
      /turn 2, run 1 comes before itself/,
    ],
  ];
  for (const [what, [someRecord, someLinks], message] of refusals) {
    test(`goes no further than ${what}`, () => {
      assert.match(orderChain(someRecord, someLinks).gap ?? '', message);
    });
  }

  test('has nothing to undo while no point is known', () => {
    const chain = orderChain({ ...record, point: null, last: null }, links);
    assert.deepEqual(chain, {
      turns: [],
      attempts: [],
      present: true,
      unused: links,
      gap: undefined,
    });
  });

  test('uses nothing of what is not linked', () => {
    const stranger = { ...middle, name: 'stranger', streamId: idOf(99), previous: undefined };
    const chain = orderChain(record, [...links, stranger]);
    assert.deepEqual(names(chain.unused), ['stranger']);
    assert.equal(chain.turns.length, 3);
  });
});

describe('walkBack', () => {
  test('ends where it is told to, with nothing missing', () => {
    const { links } = modelChain([1, 1, 1]);
    const walk = walkBack({ from: idOf(3), before: idOf(1) }, links);
    assert.deepEqual(names(walk.walked), ['turn 2, run 1', 'turn 1, run 1']);
    assert.equal(walk.missing, undefined);
    assert.deepEqual(walkBack({ from: null, before: null }, links).walked, []);
  });
});

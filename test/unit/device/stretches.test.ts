import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ExtentList } from '../../../src/device/extent.js';
import { type Stretch, stretchesOf, wholeDevice } from '../../../src/device/stretches.js';

type Pairs = readonly (readonly [offset: number, length: number])[];

const list = (pairs: Pairs): ExtentList => new ExtentList(Float64Array.from(pairs.flat()));
const changes = (extents: Pairs, zeros: Pairs = []) => ({
  extents: list(extents),
  zeros: list(zeros),
});
const shown = (stretches: Iterable<Stretch>): string[] =>
  [...stretches].map(({ offset, length, kind }) => `${offset} ${length} ${kind}`);

describe('the stretches of a list', () => {
  const cases: readonly [string, Pairs, Pairs, readonly string[]][] = [
    ['an empty one', [], [], []],
    [
      'extents',
      [
        [4, 2],
        [10, 1],
      ],
      [],
      ['4 2 data', '10 1 data'],
    ],
    [
      'neighbours, which are one',
      [
        [4, 2],
        [6, 3],
      ],
      [],
      ['4 5 data'],
    ],
    ['zeros inside an extent', [[4, 6]], [[6, 2]], ['4 2 data', '6 2 zero', '8 2 data']],
    [
      'zeros at both ends of an extent',
      [[4, 6]],
      [
        [4, 1],
        [9, 1],
      ],
      ['4 1 zero', '5 4 data', '9 1 zero'],
    ],
    ['an extent of zeros only', [[0, 6]], [[0, 6]], ['0 6 zero']],
    [
      'zeros that lie in two extents',
      [
        [0, 6],
        [6, 4],
      ],
      [[4, 4]],
      ['0 4 data', '4 4 zero', '8 2 data'],
    ],
  ];
  for (const [title, extents, zeros, expected] of cases) {
    test(`are those of ${title}`, () => {
      assert.deepEqual(shown(stretchesOf(changes(extents, zeros))), expected);
    });
  }

  test('go beyond 32 bits', () => {
    const found = shown(stretchesOf(changes([[2 ** 50, 2 ** 40]], [[2 ** 50, 4096]])));
    assert.deepEqual(found, [`${2 ** 50} 4096 zero`, `${2 ** 50 + 4096} ${2 ** 40 - 4096} data`]);
  });
});

describe('the stretches of a whole device', () => {
  test('have what did not change between them, before and behind', () => {
    const found = wholeDevice(
      changes(
        [
          [4, 2],
          [10, 1],
        ],
        [[4, 1]],
      ),
      20,
    );
    assert.deepEqual(shown(found), [
      ...['0 4 same', '4 1 zero', '5 1 data', '6 4 same', '10 1 data', '11 9 same'],
    ]);
  });

  test('are one stretch where nothing changed, and none of an empty device', () => {
    assert.deepEqual(shown(wholeDevice(changes([]), 7)), ['0 7 same']);
    assert.deepEqual(shown(wholeDevice(changes([]), 0)), []);
  });

  test('say of each byte what the lists say', () => {
    const bytes = fc.array(fc.constantFrom('same', 'data', 'zero'), { maxLength: 40 });
    fc.assert(
      fc.property(bytes, (wanted) => {
        // Each byte an extent of its own, touching the next.
        const at = (kinds: readonly string[]): Pairs =>
          wanted.flatMap((kind, offset) => (kinds.includes(kind) ? [[offset, 1] as const] : []));
        const listed = changes(at(['data', 'zero']), at(['zero']));
        const found = [...wholeDevice(listed, wanted.length)];
        assert.deepEqual(
          found.flatMap(({ kind, length }) => Array<string>(length).fill(kind)),
          wanted,
        );
        let end = 0;
        for (const [index, { offset, length, kind }] of found.entries()) {
          assert.equal(offset, end);
          assert.notEqual(found[index - 1]?.kind, kind);
          end += length;
        }
        const changed = found.filter(({ kind }) => kind !== 'same');
        assert.deepEqual([...stretchesOf(listed)], changed);
      }),
    );
  });
});

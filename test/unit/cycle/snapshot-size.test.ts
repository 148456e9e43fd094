import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import {
  chooseSize,
  coveringSize,
  neededSize,
  sizeOption,
} from '../../../src/cycle/snapshot-size.js';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;
const EXTENT = 4 * MiB;
const VOLUME = 1000 * MiB;
const room = (free: number) => ({ vgName: 'vg0', extentSize: EXTENT, free });
const eight = (...newest: number[]): number[] => [...newest, ...Array(8).fill(MiB)].slice(0, 8);
const chosen = (uses: readonly number[], free = 100 * GiB): number =>
  chooseSize(uses, VOLUME, room(free)).bytes;

describe('--size auto', () => {
  for (const [title, uses, expected] of [
    ['a fifth of the volume where nothing is known', [], 200 * MiB],
    ['no less as long as little is known', [MiB], 200 * MiB],
    ['no less with seven intervals', Array(7).fill(MiB), 200 * MiB],
    ['a twentieth after eight intervals in which little was written', eight(), 52 * MiB],
    ['twice the last interval, in whole extents', eight(101 * MiB), 204 * MiB],
    ['twice the largest, however long ago', eight(MiB, MiB, MiB, 300 * MiB), 600 * MiB],
    ['more than a fifth, if one interval needed it', [300 * MiB], 600 * MiB],
  ] as const) {
    test(`takes ${title}`, () => assert.equal(chosen(uses), expected));
  }

  test('takes no more than what can hold all of the volume', () => {
    const most = Math.ceil(coveringSize(VOLUME) / EXTENT) * EXTENT;
    assert.equal(chosen(eight(900 * MiB)), most);
    assert.ok(most > VOLUME && most < 1.01 * VOLUME + EXTENT);
  });

  test('comes down when the large interval is no longer one of the last eight', () => {
    let uses: readonly number[] = eight();
    const sizes: number[] = [];
    for (const use of [400 * MiB, ...Array(9).fill(MiB)]) {
      uses = [use, ...uses].slice(0, 8);
      sizes.push(chosen(uses));
    }
    assert.deepEqual(sizes, [...Array(8).fill(800 * MiB), 52 * MiB, 52 * MiB]);
  });

  test('takes what is free where that is more than the last interval used, and says so', () => {
    const { bytes, warning } = chooseSize(eight(100 * MiB), VOLUME, room(104 * MiB));
    assert.equal(bytes, 104 * MiB);
    assert.equal(
      warning,
      'vg0: only 104.0 MiB are free, so the new snapshot gets only that: it should have 200.0 MiB, twice the most that one of the last 8 intervals used, 100.0 MiB; "vgextend vg0 DEVICE" makes room',
    );
  });

  for (const [title, uses, free, missing] of [
    [
      'the last interval',
      eight(100 * MiB),
      100 * MiB,
      /At least 4\.0 MiB are missing\. With 100\.0 MiB more/,
    ],
    [
      'the least, with none known',
      [],
      48 * MiB,
      /At least 4\.0 MiB are missing\. With 152\.0 MiB more/,
    ],
  ] as const) {
    test(`refuses where no more is free than ${title} needs, and says how much is missing`, () => {
      assert.throws(
        () => chooseSize(uses, VOLUME, room(free)),
        (error) =>
          error instanceof LvmsyncError &&
          error.code === 'sourceUnfit' &&
          /^vg0: too little room for a new snapshot/.test(error.message) &&
          /No snapshot was made/.test(error.state ?? '') &&
          missing.test(error.hint ?? ''),
      );
    });
  }
});

describe('the size that is proposed', () => {
  test('is twice the most that was used', () => assert.equal(neededSize([3, 9, 4]), 18));

  for (const [bytes, option] of [
    [1, '1M'],
    [3 * MiB, '3M'],
    [3 * MiB + 1, '4M'],
    [10 * GiB + 1, '11G'],
  ] as const) {
    test(`is rounded up: ${bytes} to ${option}`, () => assert.equal(sizeOption(bytes), option));
  }
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Progress } from '../../../src/run/progress.js';
import { RunTally } from '../../../src/run/run-tally.js';

type Report = readonly [activity: string, doneBytes: number, isPreparation?: true];

function tallyOf(...reports: readonly Report[]): RunTally {
  const tally = new RunTally();
  for (const [activity, doneBytes, isPreparation] of reports) {
    const progress: Progress = { activity, doneBytes, totalBytes: undefined };
    tally.note({ ...progress, ...(isPreparation && { isPreparation }) });
  }
  return tally;
}

describe('the tally of a run', () => {
  const rows: readonly [title: string, reports: readonly Report[], bytes: number][] = [
    ['is nothing before the first report', [], 0],
    [
      'is what the last report says',
      [
        ['a', 5],
        ['a', 9],
      ],
      9,
    ],
    [
      'adds up activities',
      [
        ['a', 5],
        ['b', 3],
      ],
      8,
    ],
    [
      'adds an activity that begins anew',
      [
        ['a', 5],
        ['a', 2],
      ],
      7,
    ],
    [
      'adds one that comes again after another',
      [
        ['a', 5],
        ['b', 3],
        ['a', 4],
      ],
      12,
    ],
    [
      'leaves out preparations',
      [
        ['p', 100, true],
        ['a', 4],
      ],
      4,
    ],
  ];
  for (const [title, reports, bytes] of rows) {
    test(title, () => assert.equal(tallyOf(...reports).bytes, bytes));
  }

  test('takes what an activity has moved in all for what was reported of it', () => {
    const tally = tallyOf(['a', 5], ['b', 3]);
    tally.settle(10);
    assert.equal(tally.bytes, 15);
  });
});

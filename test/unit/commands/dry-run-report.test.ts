import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';
import {
  formatRows,
  type SendingFacts,
  sendingRows,
} from '../../../src/commands/dry-run-report.js';

const MIB = 1024 * 1024;
const FACTS: SendingFacts = {
  path: '/dev/vg/mail',
  sourceSize: 1000 * MIB,
  extentCount: 7,
  totalBytes: 100 * MIB,
  zeroBytes: 0,
  discards: true,
  fills: [],
  bytesPerSecond: undefined,
  reading: undefined,
};

function rowOf(label: string, facts: Partial<SendingFacts>): string | undefined {
  return sendingRows({ ...FACTS, ...facts }).find(([name]) => name === label)?.[1];
}

describe('what a dry run says', () => {
  const cases: readonly [string, string, Partial<SendingFacts>, string | undefined][] = [
    [
      'the share of the volume',
      'to be sent',
      {},
      '100.0 MiB (104857600 bytes) in 7 extents, 10.0% of the volume',
    ],
    [
      'an empty volume',
      'to be sent',
      { sourceSize: 0, totalBytes: 0, extentCount: 0 },
      '0 B (0 bytes) in 0 extents, 0.0% of the volume',
    ],
    ['no zeros', 'zeros', {}, undefined],
    [
      'zeros that are given back',
      'zeros',
      { zeroBytes: MIB },
      '1.0 MiB of that, discarded at the destination where possible',
    ],
    ['zeros that are written', 'zeros', { zeroBytes: MIB, discards: false }, '1.0 MiB of that'],
    [
      'a store',
      'COW store',
      { fills: [{ name: 'vg/s', what: 'COW store', percent: 12.34 }] },
      'of vg/s: 12.3% full',
    ],
    [
      'what was done to a thin pool',
      'pool',
      { fills: [{ name: 'vg/pool', what: 'data', percent: 5 }] },
      'its metadata snap was reserved to list the changes, and has been released',
    ],
    [
      'nothing of a pool where there is none',
      'pool',
      { fills: [{ name: 'vg/s', what: 'COW store', percent: 5 }] },
      undefined,
    ],
    ['that nothing was measured', 'time', {}, 'unknown: nothing was measured'],
    [
      'the rate that is asked for',
      'time',
      { bytesPerSecond: MIB },
      'about 1:40, limited by --bwlimit',
    ],
    [
      'the rate of the source where it is known',
      'time',
      { reading: { bytes: 20 * MIB, seconds: 2 } },
      'at least 0:10: the source was read at 10.0 MiB per second; writing may be slower',
    ],
    [
      'the rate of the source where that is below the one asked for',
      'time',
      { reading: { bytes: 20 * MIB, seconds: 2 }, bytesPerSecond: 11 * MIB },
      'at least 0:10: the source was read at 10.0 MiB per second; writing may be slower',
    ],
    [
      'the rate asked for where that is the lower one',
      'time',
      { reading: { bytes: 20 * MIB, seconds: 2 }, bytesPerSecond: 5 * MIB },
      'about 0:20, limited by --bwlimit',
    ],
    [
      'the time that is left without the zeros',
      'time',
      { bytesPerSecond: MIB, zeroBytes: 40 * MIB },
      'about 1:00, limited by --bwlimit',
    ],
    [
      'the time that reading all took',
      'time',
      { reading: { bytes: 100 * MIB, seconds: 0.25 } },
      'reading it took 0.25 s; writing may be slower',
    ],
  ];
  for (const [title, label, facts, expected] of cases) {
    test(`holds ${title}`, () => assert.equal(rowOf(label, facts), expected));
  }

  test('is a row a line, with foreign text made harmless', () => {
    assert.equal(formatRows('a\x1bb', [['source', 'x\ny']]), 'a\\x1bb\n  source      x\\ny\n');
  });
});

describe('--dry-run', () => {
  for (const words of [
    ['a/b', 'c'],
    ['-s', 'a/b'],
    ['cycle', 'a/b', 'c', '--snapback', 'd'],
    ['-a', '-', 'c'],
    ['rollback', '--redo', 'c'],
  ]) {
    test(`is understood with ${words.join(' ')}, and absent without it`, () => {
      const given = toCommand(parseOptions(['--dry-run', ...words]));
      assert.ok('dryRun' in given && given.dryRun === true);
      const without = toCommand(parseOptions(words));
      assert.ok(!('dryRun' in without) || without.dryRun === false);
    });
  }
  for (const words of [
    ['inspect', 'f'],
    ['verify', 'a/b', 'c'],
    ['chain', 'd'],
  ]) {
    test(`is refused with ${words[0]}`, () => {
      assert.throws(() => toCommand(parseOptions(['--dry-run', ...words])), LvmsyncError);
    });
  }
});

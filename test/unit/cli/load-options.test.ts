import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { command } from '../../helpers/program/commands.js';

describe('options for the load of a run', () => {
  test('are absent from a command that was not given them', () => {
    const sync = command('a', 'b');
    assert.ok(!('maxCowUse' in sync) && !('priority' in sync));
  });

  for (const [text, maxCowUse] of [
    ['80', 80],
    ['80%', 80],
    ['1', 1],
    ['100', 100],
  ] as const) {
    test(`understand --max-cow-use ${text}, for a sync, a dump and a cycle`, () => {
      for (const words of [
        ['a', 'b'],
        ['-s', 'a'],
        ['cycle', 'a/b', 'c', '--snapback', 'd'],
      ]) {
        const found = command('--max-cow-use', text, ...words);
        assert.ok('maxCowUse' in found);
        assert.equal(found.maxCowUse, maxCowUse);
      }
    });
  }

  const refused: readonly [argv: string[], message: string][] = [
    ...['0', '101', '-5', '50.5', 'half', '%'].map((text): [string[], string] => [
      [`--max-cow-use=${text}`, 'a', 'b'],
      `--max-cow-use: expected a whole percentage from 1 to 100, saw "${text}"`,
    ]),
    [['--max-cow-use', '5', '-a', 'f', 'b'], '--max-cow-use cannot be used with --apply'],
    [['--max-cow-use', '5', 'verify', 'a', 'b'], '--max-cow-use cannot be used with verify'],
    [['--nice', '5', 'inspect', 'f'], '--nice cannot be used with inspect'],
  ];
  for (const [argv, message] of refused) {
    test(`refuse ${JSON.stringify(argv)} with "${message}"`, () => {
      assert.throws(
        () => command(...argv),
        (error) => error instanceof LvmsyncError && error.message === message,
      );
    });
  }
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import type { Command, VerifyCommand } from '../../../src/cli/command.js';
import { command, REMOTE } from '../../helpers/program/commands.js';

const VERIFY: VerifyCommand = {
  kind: 'verify',
  verbosity: 'normal',
  warnings: [],
  full: false,
  repair: false,
  json: false,
  snapback: undefined,
  allowSmaller: false,
  force: false,
  requireQuiet: false,
  bytesPerSecond: undefined,
  source: { kind: 'snapshot', snapshot: 'vg/snap', dataSource: undefined, since: undefined },
  destination: { path: '/dev/vg/copy' },
  remote: REMOTE,
};

describe('the words of a verify', () => {
  const verify = (...options: string[]) => command('verify', ...options, 'vg/snap', '/dev/vg/copy');
  const understood: readonly [string, Command, Command][] = [
    ['a snapshot and a destination', verify(), VERIFY],
    ['--full', verify('--full'), { ...VERIFY, full: true }],
    ['--json', verify('--json'), { ...VERIFY, json: true }],
    ['--bwlimit', verify('--bwlimit', '1K'), { ...VERIFY, bytesPerSecond: 1024 }],
    [
      '--repair with what a sync knows',
      verify('--repair', '-b', '/undo', '--force', '--allow-smaller'),
      {
        ...{ ...VERIFY, repair: true, force: true, allowSmaller: true },
        snapback: { path: '/undo', overwrite: false },
      },
    ],
    [
      'another host',
      command('verify', 'vg/snap', 'h:/dev/vg/copy', '--sudo', '--timeout', '5'),
      {
        ...{ ...VERIFY, destination: { host: 'h', path: '/dev/vg/copy' } },
        remote: { ...VERIFY.remote, sudo: true, timeoutSeconds: 5 },
      },
    ],
    [
      'an offline source',
      command('verify', '--cow-store', 'c', '-r', 'd', '/dev/vg/copy'),
      { ...VERIFY, source: { kind: 'cowStore', cowStore: 'c', dataSource: 'd' } },
    ],
    [
      'priorities',
      verify('--nice', '-5', '--ionice', 'idle'),
      { ...VERIFY, priority: { nice: -5, io: { text: 'idle', ioClass: 3, level: 0 } } },
    ],
    [
      'the processors that nobody wants',
      verify('--nice', 'idle'),
      { ...VERIFY, priority: { nice: 'idle' } },
    ],
    [
      '--hash-blocks, the other side',
      command('--hash-blocks', '--nice=+3', '/dev/vg/copy'),
      {
        kind: 'hash',
        verbosity: 'normal',
        warnings: [],
        destination: '/dev/vg/copy',
        priority: { nice: 3 },
      },
    ],
  ];
  for (const [title, actual, expected] of understood) {
    test(`understand ${title}`, () => assert.deepEqual(actual, expected));
  }

  const refused: readonly [argv: string[], message: string][] = [
    [['verify'], 'missing operand: SNAPSHOT'],
    [['verify', 'a'], 'missing operand: DESTINATION'],
    [['verify', 'a', 'b', 'c'], 'too many operands: "c" was not expected'],
    [['verify', '-b', 'f', 'a', 'b'], '--snapback needs --repair'],
    [['verify', '--force', 'a', 'b'], '--force needs --repair'],
    [['verify', '--full', '--since', 'c', 'a', 'b'], '--since cannot be used with --full'],
    [['verify', '--compress', 'a', 'b'], '--compress cannot be used with verify'],
    [['verify', '--streams', '2', 'a', 'h:b'], '--streams cannot be used with verify'],
    [['--full', 'a', 'b'], '--full cannot be used with a SNAPSHOT and a DESTINATION'],
    [['--repair', '-s', 'a'], '--repair cannot be used with --stdout'],
    [['--hash-blocks'], 'missing operand: DESTINATION'],
    [['--hash-blocks', '-s', 'a'], '--stdout cannot be used with --hash-blocks'],
    [['--hash-blocks', '--force', 'a'], '--force cannot be used with --hash-blocks'],
    ...['20', '-21', '1.5', 'low', 'Idle'].map((text): [string[], string] => [
      [`--nice=${text}`, 'a', 'b'],
      `--nice: expected a whole number from -20 to 19 or "idle", saw "${text}"`,
    ]),
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

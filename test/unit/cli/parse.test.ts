import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import type { Command } from '../../../src/cli/command.js';
import { commandOf } from '../../../src/cli/command-table.js';
import { command, REMOTE } from '../../helpers/program/commands.js';

const RUN = { verbosity: 'normal', warnings: [] } as const;
const WRITE = { ...RUN, snapback: undefined, allowSmaller: false, force: false } as const;
const SNAPSHOT = {
  kind: 'snapshot',
  snapshot: 'vg/snap',
  dataSource: undefined,
  since: undefined,
} as const;
const READ = {
  source: SNAPSHOT,
  requireQuiet: false,
  format: 'auto',
  compression: 'none',
  bytesPerSecond: undefined,
} as const;
const SYNC = {
  kind: 'sync',
  ...WRITE,
  ...READ,
  destination: { path: '/dev/vg/copy' },
  remote: REMOTE,
  discard: true,
} as const;
const DUMP = { kind: 'dump', ...RUN, ...READ } as const;
const APPLY = { kind: 'apply', ...WRITE, input: 'changes', destination: '/dev/vg/copy' } as const;

const sync = (...options: string[]) => command(...options, 'vg/snap', '/dev/vg/copy');
const dump = (...options: string[]) => command(...options, '--stdout', 'vg/snap');
const apply = (...options: string[]) => command(...options, '--apply', 'changes', '/dev/vg/copy');

describe('command', () => {
  const understood: readonly [title: string, actual: Command, expected: Command][] = [
    ['a snapshot and a destination are a sync', sync(), SYNC],
    ['--stdout is a dump', dump(), DUMP],
    ['--apply is an apply', apply(), APPLY],
    [
      '--apply - reads standard input',
      command('-a', '-', '/dev/vg/copy'),
      { ...APPLY, input: '-' },
    ],
    ['--version wins over what was before it', command('-q', '-v', '-V'), { kind: 'version' }],
    [
      '--help wins over what was before it, and is of that',
      command('-s', 'a', 'b', '-h'),
      { kind: 'help', about: commandOf('dump') },
    ],
    [
      'a host before the first colon is kept apart',
      command('vg/snap', 'backup:/dev/vg/copy'),
      { ...SYNC, destination: { host: 'backup', path: '/dev/vg/copy' } },
    ],
    [
      '--rsh is split into words',
      sync('-e', "ssh -i 'my key'"),
      { ...SYNC, remote: { ...REMOTE, rsh: ['ssh', '-i', 'my key'], rshGiven: true } },
    ],
    [
      "--rsh ssh is the user's own choice of options",
      sync('-e', 'ssh'),
      { ...SYNC, remote: { ...REMOTE, rshGiven: true } },
    ],
    [
      '--remote-path',
      sync('--remote-path', '/opt/lvm sync/bin/lvmsync'),
      { ...SYNC, remote: { ...REMOTE, program: '/opt/lvm sync/bin/lvmsync' } },
    ],
    ['--sudo', sync('--sudo'), { ...SYNC, remote: { ...REMOTE, sudo: true } }],
    ['--require-ack', sync('--require-ack'), { ...SYNC, remote: { ...REMOTE, requireAck: true } }],
    ['--transport command', sync('--transport', 'command'), SYNC],
    [
      '--transport ssh2',
      sync('--transport=ssh2'),
      { ...SYNC, remote: { ...REMOTE, transport: 'ssh2' } },
    ],
    ...['30', '0.5', '0030', '2147483'].map((text): [string, Command, Command] => [
      `--timeout ${text}`,
      sync('--timeout', text),
      { ...SYNC, remote: { ...REMOTE, timeoutSeconds: Number(text) } },
    ]),
    ...[1, 2, 16].map((streams): [string, Command, Command] => [
      `--streams ${streams}`,
      command('--streams', String(streams), 'vg/snap', 'backup:/dev/vg/copy'),
      {
        ...SYNC,
        destination: { host: 'backup', path: '/dev/vg/copy' },
        remote: { ...REMOTE, streams },
      },
    ]),
    ['--quiet', sync('-q'), { ...SYNC, verbosity: 'quiet' }],
    ['--verbose', dump('-v'), { ...DUMP, verbosity: 'verbose' }],
    ['--debug', apply('-d'), { ...APPLY, verbosity: 'debug' }],
    ['--debug includes --verbose', sync('-vd'), { ...SYNC, verbosity: 'debug' }],
    ['--no-verbose lets --quiet be', sync('-q', '-v', '--no-v'), { ...SYNC, verbosity: 'quiet' }],
    [
      '--snapback of a sync',
      sync('-b', '/undo'),
      { ...SYNC, snapback: { path: '/undo', overwrite: false } },
    ],
    [
      '--snapback-overwrite',
      apply('-b', '/undo', '--snapback-overwrite'),
      { ...APPLY, snapback: { path: '/undo', overwrite: true } },
    ],
    ['--force', sync('--force'), { ...SYNC, force: true }],
    ['--allow-smaller', apply('--allow-smaller'), { ...APPLY, allowSmaller: true }],
    ['--require-quiet of a sync', sync('--require-quiet'), { ...SYNC, requireQuiet: true }],
    ['--require-quiet of a dump', dump('--require-q'), { ...DUMP, requireQuiet: true }],
    ['--format classic', dump('--format', 'classic'), { ...DUMP, format: 'classic' }],
    ['--format auto', sync('--format=auto'), SYNC],
    ['--compress of a dump', dump('--compress'), { ...DUMP, compression: 'auto' }],
    ['--compress=lz4', dump('--compress=lz4'), { ...DUMP, compression: 'lz4' }],
    ['--compress=none', dump('--compress=none'), DUMP],
    ['--bwlimit in bytes', sync('--bwlimit', '1000'), { ...SYNC, bytesPerSecond: 1000 }],
    ['--bwlimit with a unit', sync('--bwlimit=1.5m'), { ...SYNC, bytesPerSecond: 1572864 }],
    [
      '--data-source',
      dump('-r', '/dev/vg/newer'),
      { ...DUMP, source: { ...SNAPSHOT, dataSource: '/dev/vg/newer', since: undefined } },
    ],
    [
      '--cow-store takes the place of the snapshot in a sync',
      command('--cow-store', 'cow.img', '-r', 'data.img', 'copy.img'),
      {
        ...SYNC,
        source: { kind: 'cowStore', cowStore: 'cow.img', dataSource: 'data.img' },
        destination: { path: 'copy.img' },
      },
    ],
    [
      '--cow-store takes the place of the snapshot in a dump',
      command('--cow-store', 'cow.img', '-r', 'data.img', '-s'),
      { ...DUMP, source: { kind: 'cowStore', cowStore: 'cow.img', dataSource: 'data.img' } },
    ],
    [
      '--server is --apply - with a warning',
      command('--server', '/dev/vg/copy'),
      { ...APPLY, input: '-', warnings: ['--server is deprecated: write "--apply -" instead'] },
    ],
    [
      '--rsh with --apply only warns',
      apply('-e', 'ssh'),
      { ...APPLY, warnings: ['--rsh has no effect with --apply'] },
    ],
    [
      '--rsh with --stdout only warns',
      dump('-e', 'ssh'),
      { ...DUMP, warnings: ['--rsh has no effect with --stdout'] },
    ],
    [
      'the destination of --apply is a path even with a colon',
      command('-a', 'f', 'a:b'),
      { ...APPLY, input: 'f', destination: 'a:b' },
    ],
  ];
  for (const [title, actual, expected] of understood) {
    test(title, () => assert.deepEqual(actual, expected));
  }

  const refused: readonly [argv: string[], message: string][] = [
    [['-q', '-v', 'a', 'b'], "I can't run quietly *and* verbosely at the same time!"],
    [['-q', '-d', 'a', 'b'], "I can't run quietly *and* verbosely at the same time!"],
    [['-s', '-b', 'f', 'a'], '--snapback cannot be used with --stdout'],
    [['-s', '-a', 'f', 'a'], '--apply cannot be used with --stdout'],
    [['-a', 'f', '--server', 'a'], '--apply cannot be used with --server'],
    [['-s', '--server', 'a'], '--stdout cannot be used with --server'],
    [['-a', 'f', '-r', 'd', 'a'], '--data-source cannot be used with --apply'],
    [['--server', '-r', 'd', 'a'], '--data-source cannot be used with --server'],
    [['-a', 'f', '--cow-store', 'd', 'a'], '--cow-store cannot be used with --apply'],
    [['-a', 'f', '--format', 'auto', 'a'], '--format cannot be used with --apply'],
    [['-a', 'f', '--require-quiet', 'a'], '--require-quiet cannot be used with --apply'],
    [['--require', 'a', 'b'], 'ambiguous option: --require'],
    [['-s', '--force', 'a'], '--force cannot be used with --stdout'],
    [['-s', '--allow-smaller', 'a'], '--allow-smaller cannot be used with --stdout'],
    [['-s', '--snapback-overwrite', 'a'], '--snapback-overwrite cannot be used with --stdout'],
    [['--snapback-overwrite', 'a', 'b'], '--snapback-overwrite needs --snapback'],
    [['--cow-store', 'f', 'b'], '--cow-store needs --data-source'],
    [['--compress=zip', '-s', 'a'], '--compress: expected "auto" or "lz4" or "none", saw "zip"'],
    [
      ['--bwlimit', '0', 'a', 'b'],
      '--bwlimit: expected bytes per second, such as 500K, 1.5M or 10MiB, saw "0"',
    ],
    [
      ['--bwlimit', '5T', 'a', 'b'],
      '--bwlimit: expected bytes per second, such as 500K, 1.5M or 10MiB, saw "5T"',
    ],
    [['--format', 'xml', 'a', 'b'], '--format: expected "auto" or "classic", saw "xml"'],
    [['--format', '\x1b[2J', 'a', 'b'], '--format: expected "auto" or "classic", saw "\\x1b[2J"'],
    [['--transport', 'rsh', 'a', 'h:b'], '--transport: expected "command" or "ssh2", saw "rsh"'],
    ...[
      '0',
      '-1',
      '1x',
      '1d',
      'm',
      '1e3',
      ' 1',
      '2147484',
      '99999999',
      'Infinity',
      '.5',
      '0.0',
    ].map((text): [string[], string] => [
      [`--timeout=${text}`, 'a', 'h:b'],
      `--timeout: expected a time such as 90, 90s, 5m or 1h, at most 596h, saw "${text}"`,
    ]),
    ...['0', '17', '-1', '2.5', 'all', '1e1', '002'].map((text): [string[], string] => [
      [`--streams=${text}`, 'a', 'h:b'],
      `--streams: expected a whole number from 1 to 16, saw "${text}"`,
    ]),
    [['--streams', '2', 'a', 'b'], '--streams needs a remote host: a local run has no connection'],
    [['--streams', '2', '-s', 'a'], '--streams cannot be used with --stdout'],
    [['--timeout=', 'a', 'h:b'], '--timeout: the value is empty'],
    ...['remote-path', 'transport', 'timeout'].map((name): [string[], string] => [
      [`--${name}=${name === 'timeout' ? '1' : 'ssh2'}`, '-a', 'f', 'b'],
      `--${name} cannot be used with --apply`,
    ]),
    [['--sudo', '-s', 'a'], '--sudo cannot be used with --stdout'],
    [['--require-ack', '-s', 'a'], '--require-ack cannot be used with --stdout'],
    [
      ['--remote-path=-Jevil', 'a', 'h:b'],
      '--remote-path: the name of a program must not begin with "-"',
    ],
    ...[
      ['a', 'x\ufffd'],
      ['\ufffd', 'b'],
      ['-b', 'x\ufffd', 'a', 'b'],
      ['-a', 'x\ufffd', 'b'],
    ].map((argv): [string[], string] => [
      argv,
      `"${argv.find((word) => word.includes('\ufffd'))}": the name is not valid UTF-8`,
    ]),
    [['--apply=', 'a'], '--apply: the value is empty'],
    [['-b', '', 'a', 'b'], '--snapback: the value is empty'],
    [['--rsh=', 'a', 'b'], '--rsh: the value is empty'],
    [['-e', ' ', 'a', 'b'], '--rsh: command " ": it does not name a program'],
    [[], 'missing operand: SNAPSHOT'],
    [['v/a'], 'missing operand: DESTINATION'],
    [['-s'], 'missing operand: SNAPSHOT'],
    [['-a', '-'], 'missing operand: DESTINATION'],
    [['--server'], 'missing operand: DESTINATION'],
    [['--cow-store', 'f', '-r', 'd'], 'missing operand: DESTINATION'],
    [['v/a', 'b', 'c'], 'too many operands: "c" was not expected'],
    [['-s', 'a', 'b'], 'too many operands: "b" was not expected'],
    [['-a', '-', 'a', 'b'], 'too many operands: "b" was not expected'],
    [['--cow-store', 'f', '-r', 'd', '-s', 'a'], 'too many operands: "a" was not expected'],
    [['--cow-store', 'f', '-r', 'd', 'a', 'b'], 'too many operands: "b" was not expected'],
    [['', 'b'], 'SNAPSHOT: the operand is empty'],
    [['a', ''], 'DESTINATION: the operand is empty'],
    [['a', 'host:'], 'destination "host:": the path after the host is empty'],
  ];
  for (const [argv, message] of refused) {
    test(`refuses ${JSON.stringify(argv)} with "${message}"`, () => {
      assert.throws(
        () => command(...argv),
        (error) => {
          assert(error instanceof LvmsyncError);
          assert.deepEqual([error.message, error.exitStatus], [message, 1]);
          return true;
        },
      );
    });
  }
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { splitWords } from '../../../src/base/shell-words.js';
import type { CycleCommand } from '../../../src/cli/command.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';
import { receiverArguments } from '../../../src/remote/remote-command.js';

function cycle(...words: string[]): CycleCommand {
  const command = toCommand(parseOptions(['cycle', ...words]));
  assert.ok(command.kind === 'cycle');
  return command;
}

const TURN = ['vg/mail', 'backup:/dev/vg/copy', '--snapback', '/chain'];

describe('the command line of a cycle', () => {
  test('names a volume, a destination and the directory of the chain', () => {
    const { origin, destination, chain, remote, snapback } = cycle(...TURN);
    assert.equal(origin, 'vg/mail');
    assert.deepEqual(destination, { host: 'backup', path: '/dev/vg/copy' });
    assert.deepEqual(chain, { directory: '/chain', init: false, keep: [] });
    assert.equal(remote.requireAck, true, 'only a confirmed turn lets a snapshot go');
    assert.equal(snapback, undefined);
  });

  for (const [size, expected] of [
    ['5G', ['--size', '5g']],
    ['1.5t', ['--size', '1.5t']],
    ['20%', ['--extents', '20%ORIGIN']],
    ['120%', ['--extents', '120%ORIGIN']],
    ['auto', 'auto'],
  ] as const) {
    test(`has lvcreate understand --size ${size}`, () => {
      assert.deepEqual(cycle(...TURN, '--size', size).size, expected);
    });
  }

  test('splits the commands that freeze and thaw into words', () => {
    const { hooks } = cycle(...TURN, '--freeze-cmd', "db 'two words'", '--thaw-cmd', 'db thaw');
    assert.deepEqual(hooks, { freeze: ['db', 'two words'], thaw: ['db', 'thaw'] });
  });

  test('is passed on to the receiver as far as it is about the chain', () => {
    const words = ['--init', '--keep', '48', '--keep', '30d', '-q', '--force', '--nice', '5'];
    assert.deepEqual(receiverArguments(cycle(...TURN, ...words)), [
      ...['--apply', '-', '--chain', '/chain', '--init', '--keep', '48', '--keep', '30d'],
      ...['--quiet', '--nice=5', '--force', '/dev/vg/copy'],
    ]);
  });

  test('takes the rules of --keep by two more names, which a receiver need not know', () => {
    const words = [
      '--keep-last',
      '48',
      '--keep-within',
      '30d',
      '--keep',
      '8w',
      '--keep-within=12h',
    ];
    const { keep } = cycle(...TURN, ...words).chain;
    const hours = (count: number) => ({ seconds: count * 3600 });
    assert.deepEqual(keep, [hours(8 * 7 * 24), { turns: 48 }, hours(30 * 24), hours(12)]);
    const args = receiverArguments(cycle(...TURN, ...words)).join(' ');
    assert.match(args, /--keep 8w --keep 48 --keep 30d --keep 12h/);
    assert.doesNotMatch(args, /keep-/);
  });

  const refused: readonly [words: readonly string[], message: RegExp][] = [
    [[], /missing operand: VOLUME/],
    [['vg/mail'], /missing operand: DESTINATION/],
    [['vg/mail', '/copy'], /cycle needs --snapback/],
    [[...TURN, 'more'], /too many operands/],
    ...['5', '0G', '0%', 'all', '-1G', '1.5%', '5GB', '20%VG'].map((size): [string[], RegExp] => [
      [...TURN, `--size=${size}`],
      /--size: expected a size/,
    ]),
    [
      [...TURN, '--keep', 'all'],
      /--keep: expected a whole number of restore points, 1 or more, or an age/,
    ],
    [
      [...TURN, '--keep-last', '30d'],
      /--keep-last: expected a whole number of restore points, 1 or more, saw "30d"/,
    ],
    [
      [...TURN, '--keep-within', '48'],
      /--keep-within: expected an age such as 12h, 30d or 8w, saw/,
    ],
    [[...TURN, '--freeze-cmd', "it's"], /is never closed/],
    [[...TURN, '--push-helper', 'file'], /--push-helper cannot be used with cycle/],
    [
      ['vg/mail', '/copy', '--snapback', '/chain', '--streams', '2'],
      /--streams needs a remote host/,
    ],
    [[...TURN, '--since', 'vg/x'], /--since cannot be used with cycle/],
    [[...TURN, '--data-source', '/x'], /--data-source cannot be used with cycle/],
    [[...TURN, '--format', 'classic'], /--format cannot be used with cycle/],
    [[...TURN, '--snapback-overwrite'], /--snapback-overwrite cannot be used with cycle/],
    [[...TURN, '--allow-smaller'], /--allow-smaller cannot be used with cycle/],
    [['vg/mail', '/copy', '--snapback', '/chain', '--compress'], /--compress needs a remote host/],
  ];
  for (const [words, message] of refused) {
    test(`is refused: ${words.join(' ')}`, () => {
      assert.throws(
        () => cycle(...words),
        (error) => error instanceof LvmsyncError && message.test(error.message),
      );
    });
  }

  test('ends with --end, beside which other options of its runs may stand', () => {
    assert.equal(cycle(...TURN).end, undefined);
    const words = ['--size', '20%', '--keep', '48', '--metrics', '/m.prom', '--nice', 'idle'];
    const command = cycle(...TURN, '--end', ...words);
    assert.equal(command.end, true);
    assert.equal(command.metrics, undefined, 'its figures are not those of a run');
    for (const option of ['--init', '--force']) {
      assert.throws(() => cycle(...TURN, '--end', option), /cannot be used with --end/);
    }
    assert.throws(() => toCommand(parseOptions(['--end', 'a', 'b'])), /cannot be used/);
  });

  for (const name of ['size', 'freeze-cmd', 'thaw-cmd']) {
    test(`is alone in knowing --${name}`, () => {
      assert.throws(() => toCommand(parseOptions([`--${name}`, '1G', 'a', 'b'])), /cannot be used/);
    });
  }
});

describe('the units for systemd', () => {
  const read = (name: string): string =>
    readFileSync(new URL(`../../../../packaging/systemd/${name}`, import.meta.url), 'utf8');
  const service = read('lvmsync-cycle@.service');
  const timer = read('lvmsync-cycle@.timer');

  test('show arguments of a cycle that are understood', () => {
    const [, example = ''] = /ARGUMENTS="(.*)"$/m.exec(service) ?? [];
    assert.equal(cycle(...splitWords(example)).origin, 'vg0/mail');
  });

  test('read the arguments of an instance, and pass them on', () => {
    assert.match(service, /^EnvironmentFile=\/etc\/lvmsync\/cycle\/%i\.conf$/m);
    assert.match(service, /^ExecStart=\/usr\/bin\/lvmsync cycle \$ARGUMENTS$/m);
  });

  test('let those live that clean up after a run that is killed', () => {
    assert.match(service, /^KillMode=process$/m);
  });

  test('begin a turn every hour', () => {
    assert.match(timer, /^OnCalendar=hourly$/m);
    assert.match(timer, /^WantedBy=timers\.target$/m);
  });
});

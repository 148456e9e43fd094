import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import type { SyncCommand } from '../../../src/cli/command.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';
import {
  argsThere,
  argvTo,
  receiverArguments,
  snapbackOfPart,
} from '../../../src/remote/remote-command.js';
import { undoCommand } from '../../../src/remote/undo-hints.js';

/** The command of `OPTIONS vg/snap DESTINATION`. */
function sync(destination: string, ...options: string[]): SyncCommand {
  const command = toCommand(parseOptions([...options, '--', 'vg/snap', destination]));
  assert(command.kind === 'sync');
  return command;
}

function argv(destination: string, ...options: string[]): string[] {
  const command = sync(destination, ...options);
  return argvTo(command.destination.host ?? '', command.remote, receiverArguments(command));
}

/** What follows the host. */
function receiverWords(command: SyncCommand): string[] {
  return argsThere(command.remote, receiverArguments(command));
}

const DEVICE = '/dev/vg/copy';
const cases: readonly [title: string, argv: string[], expected: string[]][] = [
  [
    'the default ssh lends the other host neither agent nor display, and asks for no terminal',
    argv(`backup:${DEVICE}`),
    ['ssh', '-a', '-x', '-T', 'backup', 'lvmsync', '--apply', '-', DEVICE],
  ],
  [
    'each of several streams has an ssh connection of its own',
    argv(`backup:${DEVICE}`, '--streams', '2'),
    ['ssh', '-a', '-x', '-T', '-S', 'none', 'backup', 'lvmsync', '--apply', '-', DEVICE],
  ],
  [
    'an --rsh of the user gets no options of ours for several streams either',
    argv(`backup:${DEVICE}`, '--streams', '2', '-e', 'ssh'),
    ['ssh', 'backup', 'lvmsync', '--apply', '-', DEVICE],
  ],
  [
    'an --rsh of the user gets no options of ours: the words are those of the Ruby lvmsync',
    argv(`root@backup:${DEVICE}`, '-e', "ssh -i 'my key'"),
    ['ssh', '-i', 'my key', 'root@backup', 'lvmsync', '--apply', '-', DEVICE],
  ],
  [
    'an IPv6 address goes without its brackets',
    argv(`root@[fe80::1%eth0]:${DEVICE}`, '-e', 'ssh'),
    ['ssh', 'root@fe80::1%eth0', 'lvmsync', '--apply', '-', DEVICE],
  ],
  [
    '--snapback is passed on',
    argv(`h:${DEVICE}`, '-e', 'ssh', '-b', '/root/undo'),
    ['ssh', 'h', 'lvmsync', '--apply', '-', '--snapback', '/root/undo', DEVICE],
  ],
];
for (const [title, actual, expected] of cases) {
  test(title, () => assert.deepEqual(actual, expected));
}

const passedOn: readonly [options: string[], words: string][] = [
  [['-v'], '--apply - --verbose'],
  [['-d'], '--apply - --verbose --debug'],
  [['-vd'], '--apply - --verbose --debug'],
  [['-q'], '--apply - --quiet'],
  [['--force'], '--apply - --force'],
  [['--allow-smaller'], '--apply - --allow-smaller'],
  [['-b', 'u', '--snapback-overwrite'], '--apply - --snapback u --snapback-overwrite'],
  [['--format', 'classic'], '--apply -'],
  [['--timeout', '3', '--require-ack'], '--apply -'],
  [['-b', '-v'], '--apply - --snapback -v'],
  [['-b', '~/undo 1'], "--apply - --snapback ~/'undo 1'"],
  [['--nice', '5', '--ionice', 'idle'], '--apply - --nice=5 --ionice=idle'],
  [['--nice=idle'], '--apply - --nice=idle'],
];
for (const [options, words] of passedOn) {
  test(`${options.join(' ')} makes the receiver's options "${words}"`, () => {
    const expected = [...`lvmsync ${words}`.split(' '), DEVICE].join(' ');
    assert.equal(receiverWords(sync(`h:${DEVICE}`, ...options)).join(' '), expected);
  });
}

test('--sudo never asks for a password, and --remote-path names one program', () => {
  const words = receiverWords(sync('h:b', '--sudo', '--remote-path', '~/my bin/lvmsync'));
  assert.deepEqual(words.slice(0, 3), ['sudo', '-n', "~/'my bin/lvmsync'"]);
});

test('a device that begins with a dash comes after --', () => {
  assert.deepEqual(receiverWords(sync('h:-x')), ['lvmsync', '--apply', '-', '--', '-x']);
});

for (const options of [
  ['-b', 'a\nb'],
  ['--remote-path', 'a\nb'],
]) {
  test(`${options[0]} with a newline in its value is refused before anything is run`, () => {
    const command = sync('h:/x', ...options);
    assert.throws(
      () => receiverWords(command),
      (error) => error instanceof LvmsyncError && error.code === 'usage',
    );
  });
}

test('the command to go back is quoted for the shell that it will be typed into', () => {
  const here = undoCommand({ snapback: "it's", path: '/dev/vg/a b', host: undefined });
  assert.equal(here, "lvmsync --apply 'it'\\''s' '/dev/vg/a b'");
  const there = undoCommand({ snapback: '~/an undo', path: '-x', host: 'backup' });
  assert.equal(there, "lvmsync --apply ~/'an undo' ./-x");
  const odd = undoCommand({ snapback: '~/a', path: "b\nc\\'", host: undefined });
  assert.equal(odd, "lvmsync --apply '~/a' $'b\\nc\\\\\\''");
});

const snapbacks: readonly [path: string, streamIndex: number, streamCount: number, name: string][] =
  [
    ['/root/undo', 1, 1, '/root/undo'],
    ['/root/undo', 2, 3, '/root/undo.2-of-3'],
    ['~/undo 1', 16, 16, '~/undo 1.16-of-16'],
    ['/dev/null', 2, 3, '/dev/null'],
  ];
for (const [path, streamIndex, streamCount, name] of snapbacks) {
  test(`stream ${streamIndex} of ${streamCount} keeps its part of ${path} in ${name}`, () => {
    const part = snapbackOfPart({ path, overwrite: true }, { streamIndex, streamCount });
    assert.deepEqual(part, { path: name, overwrite: true });
  });
}

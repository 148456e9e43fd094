import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { quoteWord } from '../../../src/base/shell-words.js';
import type { CycleCommand } from '../../../src/cli/command.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';
import { askChain } from '../../../src/cycle/ask-chain.js';
import { hintWhereMissing } from '../../../src/destination/missing.js';
import type { RunContext } from '../../../src/run/context.js';
import { Reporter } from '../../../src/run/reporter.js';
import { refusal } from '../../helpers/lvm/lvm-host.js';

const VOLUME = { size: 4194304 };
const POINT = { uuid: 'LS77dj-xiFg-MBtL', time: '2026-11-23T10:55:07Z' };

/** In place of ssh: a script of Node.js, which gets the host and the words for it as arguments. */
function cycle(script: string, ...options: string[]): CycleCommand {
  const rsh = `${process.execPath} -e ${quoteWord(script)} --`;
  const words = ['cycle', 'vg/mail', 'backup:/dev/vg/copy', '--snapback', '/var/a chain'];
  const command = toCommand(parseOptions([...words, '--rsh', rsh, ...options]));
  assert.ok(command.kind === 'cycle');
  return command;
}

function context(signal = new AbortController().signal): RunContext {
  const reporter = new Reporter({ verbosity: 'quiet', write: () => undefined, isTTY: false });
  const silent = { print: () => undefined, answer: () => undefined, agentSocket: undefined };
  return { ...silent, reporter, signal, commandLine: 'lvmsync cycle', engine: 'auto' };
}

/** A script that prints the answer and ends with the status. */
function answers(answer: unknown, status = 0): string {
  const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
  return `process.stdout.write(${JSON.stringify(`${text}\n`)}); process.exitCode = ${status};`;
}

function fails(words: string, status: number): string {
  return `process.stderr.write(${JSON.stringify(`${words}\n`)}); process.exitCode = ${status};`;
}

describe('the question what a chain holds', () => {
  test('is put to lvmsync there, in words that its shell takes for what they are', async () => {
    const said = "mismatch: process.argv.slice(1).join('|')";
    const script = `process.stdout.write(JSON.stringify({ point: null, doing: null, ${said} }))`;
    const error = await refusal(askChain(cycle(script), VOLUME, context()));
    assert.match(
      error.message,
      /^backup:\/dev\/vg\/copy: backup\|lvmsync\|chain\|--json\|--\|'\/var\/a chain'\|\/dev\/vg\/copy$/,
    );
  });

  for (const [title, answer, expected] of [
    [
      'no chain',
      { point: null, doing: null, mismatch: null },
      { point: undefined, doing: undefined },
    ],
    ['a point', { point: POINT, doing: null }, { point: POINT, doing: undefined }],
    [
      'a turn that was begun',
      { point: POINT, doing: { what: 'turn', to: POINT }, other: 1 },
      { point: POINT, doing: { what: 'turn', to: POINT } },
    ],
  ] as const) {
    test(`is answered with ${title}`, async () => {
      assert.deepEqual(await askChain(cycle(answers(answer)), VOLUME, context()), expected);
    });
  }

  test('is answered also by a chain of very many links, in one line of any length', async () => {
    for (const count of [1, 20, 47, 1000, 20_000]) {
      const link = `{ name: 'a turn like any other', streamId: '${'0'.repeat(32)}', n }`;
      const links = `Array.from({ length: ${count} }, (_, n) => (${link}))`;
      const answer = `{ links: ${links}, point: ${JSON.stringify(POINT)}, doing: null }`;
      const script = `process.stdout.write(JSON.stringify(${answer}) + String.fromCharCode(10))`;
      const { point } = await askChain(cycle(script), VOLUME, context());
      assert.deepEqual(point, POINT, `${count} links`);
    }
  });

  test('is answered behind what a login prints', async () => {
    const answer = JSON.stringify({ point: POINT, doing: null });
    for (const text of [`Welcome\n{}\n${answer}`, `Last login: today ${answer}`]) {
      const { point } = await askChain(cycle(answers(text)), VOLUME, context());
      assert.deepEqual(point, POINT, text);
    }
  });

  test('is answered also by a chain with a gap', async () => {
    const script = answers(
      { point: POINT, doing: null, gap: 'a file is missing' },
      EXIT.streamCorrupt,
    );
    assert.deepEqual((await askChain(cycle(script), VOLUME, context())).point, POINT);
  });

  for (const [title, script, status, message] of [
    [
      'another destination',
      answers({ point: POINT, doing: null, mismatch: 'the chain belongs to x' }, 12),
      EXIT.destinationUnfit,
      /^backup:\/dev\/vg\/copy: the chain belongs to x$/,
    ],
    [
      'what is not JSON',
      answers('hello'),
      EXIT.transport,
      /does not report its chain.*\(its output: hello\)/,
    ],
    [
      'JSON of another kind',
      answers('[]'),
      EXIT.transport,
      /does not report its chain.*\(its output: \[\]\)/,
    ],
    ['JSON of something else', answers({ level: 'ok' }), EXIT.transport, /cannot be read/],
    [
      'a point without a time',
      answers({ point: {}, doing: null }),
      EXIT.transport,
      /cannot be read/,
    ],
    ['nothing', '', EXIT.transport, /does not report its chain, status 0$/],
    [
      'what the Ruby lvmsync says',
      fails('invalid option: --json', 1),
      EXIT.transport,
      /does not report its chain, status 1 \(its output: invalid option: --json\)/,
    ],
    [
      'a shell without lvmsync',
      fails('sh: lvmsync: not found', 127),
      EXIT.transport,
      /was not found/,
    ],
    ['an ssh that fails', fails('Connection refused', 255), EXIT.transport, /could not be reached/],
    ['a sudo that asks', fails('sudo: a password is required', 1), EXIT.transport, /sudo/],
    ['a death', 'process.kill(process.pid, "SIGKILL")', EXIT.transport, /ended by SIGKILL/],
  ] as const) {
    test(`fails for ${title}`, async () => {
      const error = await refusal(askChain(cycle(script), VOLUME, context()));
      assert.equal(error.exitStatus, status, error.message);
      assert.match(error.message, message);
    });
  }

  for (const [title, status, what] of [
    ['a damaged record', EXIT.streamCorrupt, '/c/chain.json: not the record of a chain'],
    ['a directory that is a file', EXIT.snapback, '/c: not a directory'],
  ] as const) {
    test(`fails for ${title} with the status, message and next step that were given there`, async () => {
      const words = `FATAL ERROR: ${what}\nNothing was written.\nLook there.`;
      const error = await refusal(askChain(cycle(fails(words, status)), VOLUME, context()));
      assert.deepEqual([error.exitStatus, error.message], [status, `backup: ${what}`]);
      assert.deepEqual([error.state, error.hint], ['Nothing was sent.', 'On backup: Look there.']);
    });
  }

  test('is answered with how a destination that is missing is made, as large as the volume', async () => {
    const mismatch = '/dev/vg/copy: cannot open: no such device or file (ENOENT)';
    const remedy = await hintWhereMissing({
      path: '/tmp/no-copy',
      ifMissing: 'make',
      size: 'SIZE',
    });
    const script = answers({ point: null, doing: null, mismatch, remedy }, 12);
    const { hint } = await refusal(askChain(cycle(script), VOLUME, context()));
    assert.match(
      hint ?? '',
      /^On backup: Check its name\. .*"truncate --size 4194304 \/tmp\/no-copy", then run the same command/,
    );
  });

  test('is not about another destination under --force', async () => {
    const script = answers({ point: POINT, doing: null, mismatch: 'another size' }, 12);
    const { point } = await askChain(cycle(script, '--force'), VOLUME, context());
    assert.deepEqual(point, POINT);
  });

  test('is given up after --timeout', async () => {
    const script = 'setTimeout(() => undefined, 60_000)';
    const error = await refusal(askChain(cycle(script, '--timeout', '0.3'), VOLUME, context()));
    assert.match(error.message, /^backup: no answer for 0.3 s: given up$/);
  });

  test('ends at a signal', async () => {
    const controller = new AbortController();
    const running = askChain(
      cycle('setTimeout(() => undefined, 60_000)'),
      VOLUME,
      context(controller.signal),
    );
    setTimeout(() => controller.abort('SIGTERM'), 200);
    const error = await refusal(running);
    assert.equal(error.exitStatus, 128 + 15);
  });
});

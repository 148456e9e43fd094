import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerOutput } from '../../../src/remote/peer-output.js';
import { Reporter } from '../../../src/run/reporter.js';
import type { Verbosity } from '../../../src/run/request.js';
import { formatAnswer } from '../../../src/stream/answer-lines.js';

const ID = 'a'.repeat(32);
const DONE = { kind: 'done', streamId: ID, records: 1, bytes: 2, digest: 'd'.repeat(32) } as const;
const FAILED = { kind: 'failed', streamId: ID, exitStatus: 13, message: 'no space' } as const;

function line(answer: Parameters<typeof formatAnswer>[0]): string {
  return formatAnswer(answer).trimEnd();
}

function observed(verbosity: Verbosity = 'normal') {
  let said = '';
  const clock = { now: 0 };
  const write = (text: string): void => {
    said += text;
  };
  const reporter = new Reporter({ verbosity, write, isTTY: false });
  const output = new PeerOutput(reporter, ID, () => clock.now);
  return { output, clock, lines: () => said.split('\n').slice(0, -1) };
}

test('every line is shown with "remote:" before it, whichever stream it came on', () => {
  const { output, lines } = observed();
  output.take('hello', 'stderr');
  output.take('world', 'stdout');
  assert.deepEqual(lines(), ['remote:hello', 'remote:world']);
});

test('control characters and escape sequences are shown as text', () => {
  const { output, lines } = observed();
  output.take('\x1b[2J\x07\x9b31m\u202eabc\tz', 'stderr');
  assert.deepEqual(lines(), ['remote:\\x1b[2J\\x07\\x9b31m\\u{202e}abc\\tz']);
});

test('a message repeats only what was not shown', () => {
  const { output, clock } = observed();
  output.take('seen', 'stderr');
  assert.deepEqual([output.lastLines, output.unseenLines], [['seen'], []]);
  for (let count = 0; count < 300; count++) output.take(`line ${count}`, 'stderr');
  clock.now += 2000;
  output.take('seen again', 'stderr');
  assert.deepEqual(output.unseenLines, ['line 296', 'line 297', 'line 298', 'line 299']);
});

test('with --quiet nothing is shown, but the last words are kept', () => {
  const { output, lines } = observed('quiet');
  output.take('Permission denied', 'stderr');
  assert.deepEqual(lines(), []);
  assert.deepEqual(output.lastLines, ['Permission denied']);
});

test('the last four lines of stderr are kept, none of stdout', () => {
  const { output } = observed();
  for (let number = 1; number <= 6; number++) output.take(`line ${number}`, 'stderr');
  output.take('out', 'stdout');
  assert.deepEqual(output.lastLines, ['line 3', 'line 4', 'line 5', 'line 6']);
});

test('a long last line is kept in part: it ends up in a message', () => {
  const { output } = observed();
  for (let number = 0; number < 4; number++) output.take('x'.repeat(8192), 'stderr');
  assert.ok(output.lastLines.join('').length <= 2000);
});

test('answers for our stream are taken and not shown', () => {
  const { output, lines } = observed();
  assert.deepEqual([output.ready, output.result], [false, undefined]);
  output.take(line({ kind: 'ready', streamId: ID, features: [] }), 'stdout');
  assert.equal(output.ready, true);
  output.take(line(DONE), 'stdout');
  assert.deepEqual(output.result, DONE);
  assert.deepEqual(lines(), []);
});

const notOurs: readonly [what: string, text: string, stream: 'stdout' | 'stderr'][] = [
  ['for another stream', line({ ...DONE, streamId: 'b'.repeat(32) }), 'stdout'],
  ['on stderr', line(DONE), 'stderr'],
];
for (const [what, text, stream] of notOurs) {
  test(`an answer ${what} is only shown`, () => {
    const { output, lines } = observed();
    output.take(text, stream);
    assert.equal(output.result, undefined);
    assert.deepEqual(lines(), [`remote:${text}`]);
  });
}

for (const [first, second] of [
  [DONE, FAILED],
  [FAILED, DONE],
] as const) {
  test(`of two results, ${first.kind} and then ${second.kind}, the failure counts`, () => {
    const { output } = observed();
    output.take(line(first), 'stdout');
    output.take(line(second), 'stdout');
    assert.deepEqual(output.result, FAILED);
  });
}

test('an answer of ours that cannot be read is a failure, whatever came before', () => {
  const { output } = observed();
  output.take(line(DONE), 'stdout');
  output.take(`lvmsync-result 1 ${ID} ok`, 'stdout');
  assert.equal(output.result?.kind, 'failed');
});

test('of two successes the first counts', () => {
  const { output } = observed();
  output.take(line(DONE), 'stdout');
  output.take(line({ ...DONE, bytes: 3 }), 'stdout');
  assert.deepEqual(output.result, DONE);
});

test('of a flood 200 lines a second are shown, and how many were not', () => {
  const { output, clock, lines } = observed();
  for (let number = 0; number < 1000; number++) output.take('flood', 'stderr');
  assert.equal(lines().length, 200);
  clock.now = 1000;
  output.take('later', 'stderr');
  assert.deepEqual(lines().slice(200), ['remote:(800 lines left out)', 'remote:later']);
});

test('what a flood left out is told at the end, too, once', () => {
  const { output, lines } = observed();
  for (let number = 0; number < 201; number++) output.take('flood', 'stderr');
  output.end();
  output.end();
  assert.deepEqual(lines().slice(200), ['remote:(1 lines left out)']);
});

test('an answer inside a flood is not missed', () => {
  const { output } = observed();
  for (let number = 0; number < 1000; number++) output.take('flood', 'stdout');
  output.take(line(DONE), 'stdout');
  assert.deepEqual(output.result, DONE);
});

test('F13: what a login printed before an answer in its line is shown, and the answer taken', () => {
  const { output, lines } = observed();
  output.take(`{motd} ${line(DONE)}`, 'stdout');
  assert.deepEqual(output.result, DONE);
  assert.deepEqual(lines(), ['remote:{motd} ']);
});

test('that it is at work counts as a sign of life, and is not shown', () => {
  const { output, lines } = observed();
  const busy = line({ kind: 'busy', streamId: ID });
  output.take(busy, 'stdout');
  output.take(busy, 'stdout');
  // Of another stream, and where a person may write: nobody's word for it.
  output.take(busy.replace(ID, 'b'.repeat(32)), 'stdout');
  output.take(busy, 'stderr');
  assert.equal(output.signsOfLife, 2);
  assert.equal(lines().length, 2);
  output.take(line({ kind: 'ready', streamId: ID, features: [] }), 'stdout');
  output.take(busy, 'stdout');
  assert.equal(output.signsOfLife, 3);
});

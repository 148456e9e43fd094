import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Answer, formatAnswer, parseAnswer } from '../../../src/stream/answer-lines.js';

const ID = '00112233445566778899aabbccddeeff';
const DIGEST = 'f'.repeat(32);

const lines: readonly [line: string, answer: Answer][] = [
  [`lvmsync-busy 1 ${ID}`, { kind: 'busy', streamId: ID }],
  [`lvmsync-ready 1 ${ID}`, { kind: 'ready', streamId: ID, features: [] }],
  [
    `lvmsync-ready 1 ${ID} lz4 discard`,
    { kind: 'ready', streamId: ID, features: ['lz4', 'discard'] },
  ],
  [
    `lvmsync-result 1 ${ID} ok 71 290816 ${DIGEST}`,
    { kind: 'done', streamId: ID, records: 71, bytes: 290816, digest: DIGEST },
  ],
  [
    `lvmsync-result 1 ${ID} failed 12 /dev/x: it is mounted  on /y`,
    { kind: 'failed', streamId: ID, exitStatus: 12, message: '/dev/x: it is mounted  on /y' },
  ],
  [
    `lvmsync-result 1 ${ID} failed 13 `,
    { kind: 'failed', streamId: ID, exitStatus: 13, message: '' },
  ],
];
for (const [line, answer] of lines) {
  test(`"${line}" is written and read`, () => {
    assert.equal(formatAnswer(answer), `${line}\n`);
    assert.deepEqual(parseAnswer(line), answer);
  });
}

const others: readonly [what: string, line: string][] = [
  ['an empty line', ''],
  ['other words', 'Welcome to Debian'],
  ['another version', `lvmsync-ready 2 ${ID}`],
  ['a short stream id', `lvmsync-ready 1 ${ID.slice(1)}`],
  ['an id in capitals', `lvmsync-ready 1 ${ID.toUpperCase()}`],
  ['a blank in front', ` lvmsync-ready 1 ${ID}`],
];
for (const [what, line] of others) {
  test(`is no answer: ${what}`, () => assert.equal(parseAnswer(line), undefined));
}

const unreadable: readonly [what: string, line: string][] = [
  ['a result without an outcome', `lvmsync-result 1 ${ID}`],
  ['an outcome that is not known', `lvmsync-result 1 ${ID} maybe 1 2 ${DIGEST}`],
  ['ok without its totals', `lvmsync-result 1 ${ID} ok`],
  ['ok without its digest', `lvmsync-result 1 ${ID} ok 1 2`],
  ['ok with more than belongs there', `lvmsync-result 1 ${ID} ok 1 2 ${DIGEST} 3`],
  ['a negative count', `lvmsync-result 1 ${ID} ok -1 2 ${DIGEST}`],
  ['a count that is no whole number', `lvmsync-result 1 ${ID} ok 1.5 2 ${DIGEST}`],
  ['a count in hexadecimal', `lvmsync-result 1 ${ID} ok 0x10 2 ${DIGEST}`],
  ['a count of seventeen digits', `lvmsync-result 1 ${ID} ok 1 12345678901234567 ${DIGEST}`],
  ['failed without a status', `lvmsync-result 1 ${ID} failed because`],
  ['a digest that is none', `lvmsync-result 1 ${ID} ok 1 2 ${DIGEST.slice(1)}z`],
];
for (const [what, line] of unreadable) {
  test(`is an answer that cannot be read: ${what}`, () =>
    assert.deepEqual(parseAnswer(line), { kind: 'garbled', streamId: ID }));
}

test('features of another form than features have are passed over', () => {
  const answer = parseAnswer(`lvmsync-ready 1 ${ID} discard \x1b[2J LZ4 lz4`);
  assert.deepEqual(answer, { kind: 'ready', streamId: ID, features: ['discard', 'lz4'] });
});

test('a failure is one line however its message is made', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 3000 }), (message) => {
      const text = formatAnswer({ kind: 'failed', streamId: ID, exitStatus: 1, message });
      assert.match(text, /^[^\n\r]*\n$/);
      assert.equal(parseAnswer(text.slice(0, -1))?.kind, 'failed');
    }),
  );
});

test('any text is read without an exception', () => {
  const word = fc.oneof(
    fc.constantFrom(
      'lvmsync-busy',
      'lvmsync-ready',
      'lvmsync-result',
      '1',
      ID,
      'ok',
      'failed',
      '',
      DIGEST,
    ),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(fc.property(fc.array(word), (words) => void parseAnswer(words.join(' '))));
});

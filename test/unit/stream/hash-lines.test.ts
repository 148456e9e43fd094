import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LONGEST_LINE } from '../../../src/base/lines.js';
import {
  formatHashAnswer,
  formatHashRequest,
  HASH_LIMITS,
  type HashAnswer,
  type HashRequest,
  parseHashAnswer,
  parseHashRequest,
} from '../../../src/stream/hash-lines.js';

const SESSION = '000102030405060708090a0b0c0d0e0f';
const HASH = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff';

describe('a request for hashes', () => {
  const lines: readonly [string, HashRequest][] = [
    [`lvmsync-hash 1 ${SESSION}`, { kind: 'hello', session: SESSION }],
    [
      'blocks 7 0+65536 65536+1 9007199254740990+1',
      {
        kind: 'blocks',
        number: 7,
        // Each position agrees with its offset modulo a page.
        operations: Float64Array.of(
          ...[0, 65536, 0],
          ...[65536, 1, 65536],
          ...[9007199254740990, 1, 69630],
        ),
      },
    ],
    ['end 8', { kind: 'end', requests: 8 }],
    ['end 8 65536', { kind: 'end', requests: 8, bytes: 65536 }],
  ];
  for (const [line, request] of lines) {
    test(`is written and read as: ${line}`, () => {
      assert.equal(formatHashRequest(request), `${line}\n`);
      assert.deepEqual(parseHashRequest(line), request);
    });
  }

  const refused = [
    '',
    'end',
    'end -1',
    'end 1 2 3',
    'end 1 x',
    'end 99999999999999999',
    'blocks 0',
    'blocks 0 ',
    'blocks x 0+1',
    'blocks 0 0',
    'blocks 0 0+0',
    'blocks 0 0+1+2',
    'blocks 0 -1+2',
    'blocks 0 1e3+2',
    'blocks 0 9007199254740991+1',
    `blocks 0 0+${HASH_LIMITS.bytes + 1}`,
    `blocks 0 0+${HASH_LIMITS.bytes} 0+1`,
    `blocks 0${' 0+1'.repeat(HASH_LIMITS.operations + 1)}`,
    `lvmsync-hash 2 ${SESSION}`,
    `lvmsync-hash 1 ${SESSION.slice(1)}`,
    `lvmsync-hash 1 ${SESSION} more`,
    'lvmsync PROTO[3]',
  ];
  for (const line of refused) {
    test(`is not: ${line.slice(0, 60)}`, () => assert.equal(parseHashRequest(line), undefined));
  }
});

describe('an answer with hashes', () => {
  const head = `lvmsync-hashes 1 ${SESSION}`;
  const lines: readonly [string, HashAnswer][] = [
    [`${head} ready 12345`, { kind: 'ready', size: 12345 }],
    [
      `${head} hashes 3 ${SESSION} ${HASH}`,
      { kind: 'hashes', number: 3, hashes: Buffer.from(SESSION + HASH, 'hex') },
    ],
    [`${head} done 4 some`, { kind: 'done', requests: 4, writes: 'some' }],
  ];
  for (const [line, answer] of lines) {
    test(`is written and read as: ${line}`, () => {
      assert.equal(formatHashAnswer(SESSION, answer), `${line}\n`);
      assert.deepEqual(parseHashAnswer(line, SESSION), answer);
    });
  }

  test('fits a line that any peer reads whole, however much was asked', () => {
    const hashes = Buffer.alloc(16 * HASH_LIMITS.operations);
    const answer = { kind: 'hashes', number: Number.MAX_SAFE_INTEGER, hashes } as const;
    assert.ok(formatHashAnswer(SESSION, answer).length <= LONGEST_LINE);
  });

  test('asks for no more than fits a line', () => {
    const operations = new Float64Array(3 * HASH_LIMITS.operations).fill(Number.MAX_SAFE_INTEGER);
    const number = Number.MAX_SAFE_INTEGER;
    const longest = { kind: 'blocks', number, operations } as const;
    assert.ok(formatHashRequest(longest).length <= LONGEST_LINE);
  });

  for (const line of [
    head,
    `${head} ready`,
    `${head} ready 1 2`,
    `${head} ready -1`,
    `${head} hashes 0 ${HASH.slice(1)}`,
    `${head} hashes 0 ${HASH}0`,
    `${head} hashes 0 ${HASH.toUpperCase()}`,
    `${head} hashes 0  ${HASH}`,
    `${head} done 1`,
    `${head} done 1 perhaps`,
    `${head} maybe 1`,
  ]) {
    test(`is garbled: ${line.slice(head.length)}`, () =>
      assert.deepEqual(parseHashAnswer(line, SESSION), { kind: 'garbled' }));
  }

  for (const line of [
    '',
    'Welcome to backup',
    `lvmsync-hashes 2 ${SESSION} ready 1`,
    `lvmsync-hashes 1 ${HASH} ready 1`,
    `lvmsync-ready 1 ${SESSION}`,
  ]) {
    test(`is none of ours: ${line}`, () => assert.equal(parseHashAnswer(line, SESSION), undefined));
  }
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { escapeText, exactSize, humanDuration, humanSize } from '../../../src/base/text.js';

describe('human sizes', () => {
  const rows: readonly [bytes: number, text: string][] = [
    [0, '0 B'],
    [1, '1 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [1024 ** 2 - 1, '1.0 MiB'],
    [1024 ** 2, '1.0 MiB'],
    [2.25 * 1024 ** 3, '2.3 GiB'],
    [1024 ** 4, '1.0 TiB'],
    [2 ** 53, '8.0 PiB'],
    [1024 ** 7, '1024.0 EiB'],
    [511.6, '512 B'],
  ];
  for (const [bytes, text] of rows) {
    test(`${bytes} bytes are ${text}`, () => assert.equal(humanSize(bytes), text));
  }
});

describe('exact sizes', () => {
  const rows: readonly [bytes: number, text: string][] = [
    [0, '0 bytes'],
    [1, '1 byte'],
    [1023, '1023 bytes'],
    [1024, '1.0 KiB (1024 bytes)'],
  ];
  for (const [bytes, text] of rows) {
    test(`${bytes}: ${text}`, () => assert.equal(exactSize(bytes), text));
  }
});

describe('human durations', () => {
  const rows: readonly [seconds: number, text: string][] = [
    [0, '0:00'],
    [-1, '0:00'],
    [6.6, '0:07'],
    [59.9, '1:00'],
    [754, '12:34'],
    [3600, '1:00:00'],
    [3723, '1:02:03'],
    [360000, '100:00:00'],
  ];
  for (const [seconds, text] of rows) {
    test(`${seconds} seconds are ${text}`, () => assert.equal(humanDuration(seconds), text));
  }
});

describe('escaped text', () => {
  const strings: readonly [input: string, shown: string][] = [
    ['plain é 漢 \u{1f600}', 'plain é 漢 \u{1f600}'],
    ['a\\b', 'a\\b'],
    ['tab\there', 'tab\\there'],
    ['two\r\nlines', 'two\\r\\nlines'],
    ['\x1b[31mred', '\\x1b[31mred'],
    ['\0\x7f\x9b', '\\x00\\x7f\\x9b'],
    ['\u202egnp', '\\u{202e}gnp'],
    ['\u2028\ufeff', '\\u{2028}\\u{feff}'],
    ['\ud800', '\\u{d800}'],
  ];
  for (const [input, shown] of strings) {
    test(`of a string: ${shown}`, () => assert.equal(escapeText(input), shown));
  }

  const bytes: readonly [input: Buffer, shown: string][] = [
    [Buffer.from('lvmsync PROTO[2]\n'), 'lvmsync PROTO[2]\\n'],
    [Buffer.from('a\\b'), 'a\\\\b'],
    [Buffer.from([0, 9, 13, 27, 127, 255]), '\\x00\\t\\r\\x1b\\x7f\\xff'],
    [Buffer.from('é'), '\\xc3\\xa9'],
  ];
  for (const [input, shown] of bytes) {
    test(`of bytes: ${shown}`, () => assert.equal(escapeText(input), shown));
  }

  test('is cut at the limit, and says so', () => {
    assert.equal(escapeText('abcdef', 3), 'abc...');
    assert.equal(escapeText('abc', 3), 'abc');
    assert.equal(escapeText('\u{1f600}\u{1f600}', 1), '\u{1f600}...');
    assert.equal(escapeText(Buffer.from('abcdef'), 3), 'abc...');
    assert.equal(escapeText(Buffer.from('abc'), 3), 'abc');
  });

  test('of any bytes is printable ASCII', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (input) => {
        assert.match(escapeText(input), /^[\x20-\x7e]*$/);
      }),
    );
  });

  test('of any string holds nothing that acts on a terminal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (input) => {
        assert.doesNotMatch(escapeText(input), /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u);
      }),
    );
  });
});

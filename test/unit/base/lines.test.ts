import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter, LONGEST_LINE } from '../../../src/base/lines.js';

function split(...pieces: (string | Buffer)[]): string[] {
  const splitter = new LineSplitter();
  const lines = pieces.flatMap((piece) => splitter.push(Buffer.from(piece)));
  return [...lines, ...splitter.end()];
}

const cases: readonly [what: string, pieces: (string | Buffer)[], lines: string[]][] = [
  ['nothing', [], []],
  ['lines in one piece', ['a\nb\n'], ['a', 'b']],
  ['a line in pieces', ['a', 'b', 'c\n'], ['abc']],
  ['a last line without its end', ['a\nb'], ['a', 'b']],
  ['CRLF', ['a\r\nb\r\n'], ['a', 'b']],
  ['CRLF in two pieces', ['a\r', '\nb\r', '\n'], ['a', 'b']],
  ['a carriage return alone, as a progress line has', ['10%\r20%\r30%\n'], ['10%', '20%', '30%']],
  ['empty lines are not shown', ['\n\na\n\n\n'], ['a']],
  ['blanks are kept', ['  a \n'], ['  a ']],
  ['a character in two pieces', [Buffer.from([0xc3]), Buffer.from([0xa9, 0x0a])], ['é']],
  ['bytes that are not UTF-8', [Buffer.from([0xff, 0x61, 0x0a])], ['\ufffda']],
  ['a character cut by the end', ['a', Buffer.from([0xe6, 0xbc])], ['a\ufffd']],
  ['other separators do not end a line', ['a\u2028b\v\f\u0085c\n'], ['a\u2028b\v\f\u0085c']],
];
for (const [what, pieces, lines] of cases) {
  test(what, () => assert.deepEqual(split(...pieces), lines));
}

test('a line that never ends comes in pieces while it arrives, and none is kept back for long', () => {
  const splitter = new LineSplitter();
  let shown = 0;
  for (let sent = 0; sent < 1024 * 1024; sent += 1000) {
    for (const line of splitter.push(Buffer.alloc(1000, 'x'))) {
      assert.equal(line.length, LONGEST_LINE);
      shown += line.length;
    }
    assert.ok(sent + 1000 - shown <= LONGEST_LINE);
  }
});

test('a line longer than the limit that arrives at once is cut, too', () => {
  const lines = split(`${'x'.repeat(2 * LONGEST_LINE + 5)}\nrest\n`);
  assert.deepEqual(
    lines.map((line) => line.length),
    [LONGEST_LINE, LONGEST_LINE, 5, 4],
  );
});

test('how the text was cut into pieces does not change the lines', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'é', '\u{1f600}', '\n', '\r', ' ') });
  fc.assert(
    fc.property(text, fc.array(fc.nat(40)), (whole, cuts) => {
      const bytes = Buffer.from(whole);
      const pieces: Buffer[] = [];
      let at = 0;
      for (const length of cuts) {
        pieces.push(bytes.subarray(at, at + length));
        at += length;
      }
      assert.deepEqual(split(...pieces, bytes.subarray(at)), split(bytes));
    }),
  );
});

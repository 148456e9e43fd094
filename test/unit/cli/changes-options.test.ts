import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { saysJson } from '../../../src/cli/option-checks.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';

const parse = (line: string) => toCommand(parseOptions(line.split(' ')));

describe('lvmsync changes', () => {
  const plain = { kind: 'snapshot', snapshot: 'v/s', dataSource: undefined, since: undefined };
  const cases: readonly [string, object][] = [
    ['changes v/s', { source: plain, form: 'text', summary: false }],
    ['changes --output text --json v/s', { source: plain, form: 'text' }],
    ['changes --json v/s', { form: 'json', summary: false }],
    ['changes --summary v/s', { form: 'text', summary: true }],
    ['changes --summary --output=json v/s', { form: 'json', summary: true }],
    ['changes --since v/o v/s', { source: { ...plain, since: 'v/o' } }],
    ['changes -r /dev/x v/s', { source: { ...plain, dataSource: '/dev/x' } }],
    [
      'changes --cow-store c -r d',
      { source: { kind: 'cowStore', cowStore: 'c', dataSource: 'd' } },
    ],
    [
      'changes --output borg-map --since v/o v/s',
      { source: { ...plain, since: 'v/o', bothReadOnly: true }, form: 'borg-map' },
    ],
  ];
  for (const [line, expected] of cases) {
    test(`is understood: ${line}`, () => {
      const found = parse(line);
      assert.deepEqual({ ...found, ...expected, kind: 'changes' }, found);
    });
  }

  const refused: readonly [string, RegExp][] = [
    ['changes', /^missing operand: SNAPSHOT$/],
    ['changes v/s /dev/copy', /^too many operands: "\/dev\/copy" was not expected$/],
    ['changes h:v/s', /^SNAPSHOT: "h:v\/s" names a host, but the source is always on this host$/],
    ['changes --output xml v/s', /^--output: expected "text" or "json" or "borg-map", saw "xml"$/],
    ['changes --output borg-map v/s', /^--output borg-map needs --since$/],
    ['changes --output borg-map --cow-store c -r d', /^--data-source cannot be used with/],
    ['changes --output borg-map --since v/o -r d v/s', /^--data-source cannot be used with/],
    ['changes --output borg-map --summary --since v/o v/s', /^--summary cannot be used with/],
    ['changes --cow-store c', /^--cow-store needs --data-source$/],
    ['changes --cow-store c -r d v/s', /^too many operands/],
    ['changes --snapback u v/s', /^--snapback cannot be used with changes$/],
    ['changes --require-quiet v/s', /^--require-quiet cannot be used with changes$/],
    ['--summary v/s /dev/copy', /^--summary cannot be used with a SNAPSHOT and a DESTINATION$/],
    ['inspect --output json f', /^--output cannot be used with inspect$/],
  ];
  for (const [line, message] of refused) {
    test(`is refused: ${line}`, () => {
      assert.throws(
        () => parse(line),
        (error) => {
          assert.ok(error instanceof LvmsyncError && error.code === 'usage');
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  test('says what fails as JSON under --json, but not for a document alone', () => {
    assert.ok(saysJson(['changes', '--json', 'v/s']));
    assert.ok(!saysJson(['changes', '--output', 'json', 'v/s']));
  });

  test('leaves abbreviations of other options what they were', () => {
    const { flags } = parseOptions(['--su', 'v/s', 'h:/x']);
    assert.deepEqual(flags, { sudo: true });
  });
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LvmsyncError } from '../../../src/base/errors.js';
import { type ParsedOptions, parseOptions } from '../../../src/cli/option-grammar.js';
import { OPTION_TABLE } from '../../../src/cli/option-table.js';

interface RecordedCase {
  readonly line: string;
  readonly argv: readonly string[];
  /** What the Ruby lvmsync's parser answered. */
  readonly ruby: string;
}

const RECORDED: readonly RecordedCase[] = JSON.parse(
  readFileSync(new URL('../../../../test/golden/option-parsing.json', import.meta.url), 'utf8'),
);

/** Our answer in the words of the recording. */
function answer(argv: readonly string[]): string {
  let parsed: ParsedOptions;
  try {
    parsed = parseOptions(argv);
  } catch (error) {
    assert(error instanceof LvmsyncError);
    assert.equal(error.code, 'usage');
    return `ERR ${error.message}`;
  }
  const { flags, values, operands } = parsed;
  if (flags.version) return 'lvmsync 1.2.3';
  if (flags.help) return 'Usage: lvmsync [options]';
  const o: Record<string, string | boolean> = { rsh: values.rsh ?? 'ssh' };
  if (values.snapback !== undefined) o.snapback = values.snapback;
  if (values.apply !== undefined) o.apply = values.apply;
  if (flags.stdout) o.stdout = true;
  if (flags.server) o.server = true;
  if (values['data-source'] !== undefined) o.source = values['data-source'];
  const { verbose: v = null, debug: d = null, quiet: q = null } = flags;
  return JSON.stringify({ o, v, d, q, a: operands });
}

function refuses(argv: readonly string[], message: string): void {
  assert.throws(
    () => parseOptions(argv),
    (error) => error instanceof LvmsyncError && error.code === 'usage' && error.message === message,
  );
}

describe('option grammar', () => {
  test('has recorded answers to compare with', () => {
    assert.equal(RECORDED.length, 42);
  });

  for (const { line, argv, ruby } of RECORDED) {
    test(`answers "${line}" as the Ruby lvmsync does`, () => {
      assert.equal(answer(argv), ruby.replace(/^ERR OptionParser::\w+: /, 'ERR '));
    });
  }

  const accepted: readonly [title: string, argv: string[], expected: Partial<ParsedOptions>][] = [
    [
      'letter case does not matter in long names',
      ['--SnapBack', 'f'],
      { values: { snapback: 'f' } },
    ],
    ['_ stands for -', ['--data_source', 'd'], { values: { 'data-source': 'd' } }],
    ['each part of a name can be cut short', ['--d-s=x'], { values: { 'data-source': 'x' } }],
    [
      'a part may be cut to nothing at the end',
      ['--data-', 'x'],
      { values: { 'data-source': 'x' } },
    ],
    ['both parts of a negation can be cut short', ['--n-v'], { flags: { verbose: false } }],
    ['a value may hold =', ['--rsh=a=b'], { values: { rsh: 'a=b' } }],
    ['a value may hold a newline', ['--rsh=a\nb'], { values: { rsh: 'a\nb' } }],
    ['the = after a short option belongs to its value', ['-b=f'], { values: { snapback: '=f' } }],
    ['hyphens inside a bundle are skipped', ['-v-d'], { flags: { verbose: true, debug: true } }],
    ['a bundle may end in a hyphen', ['-v-'], { flags: { verbose: true } }],
    ['a value may be --', ['-b', '--', 'x'], { values: { snapback: '--' }, operands: ['x'] }],
    ['the last of two values counts', ['-bx', '-by'], { values: { snapback: 'y' } }],
    ['the last of two flags counts', ['-v', '--no-v'], { flags: { verbose: false } }],
    [
      'a value may be left out',
      ['--compress', 'f'],
      { values: { compress: 'auto' }, operands: ['f'] },
    ],
    ['a value that may be left out is attached', ['--comp=lz4'], { values: { compress: 'lz4' } }],
    ['an operand may be empty', [''], { operands: [''] }],
    ['nothing after --help is read', ['-h', '--bogus', 'x'], { flags: { help: true } }],
    [
      'nothing after --version is read',
      ['a', '-V', '-e'],
      { flags: { version: true }, operands: ['a'] },
    ],
  ];
  for (const [title, argv, expected] of accepted) {
    test(`${title}: ${argv.join(' ')}`, () => {
      assert.deepEqual(parseOptions(argv), { flags: {}, values: {}, operands: [], ...expected });
    });
  }

  const refused: readonly [argv: string[], message: string][] = [
    [['--stdout=x'], 'needless argument: --stdout=x'],
    [['--no-verbose=x'], 'needless argument: --no-verbose=x'],
    [['-v=x'], 'needless argument: -v=x'],
    [['--=x'], 'needless argument: --=x'],
    [['--bogus=x'], 'invalid option: --bogus=x'],
    [['-x'], 'invalid option: -x'],
    [['-vxd'], 'invalid option: -xd'],
    [['-S'], 'invalid option: -S'],
    [['---'], 'invalid option: ---'],
    [['--data--source'], 'invalid option: --data--source'],
    [['--no-force'], 'invalid option: --no-force'],
    [['-\u{1f600}'], 'invalid option: -\u{1f600}'],
    [['--no'], 'ambiguous option: --no'],
    [['--fo'], 'ambiguous option: --fo'],
    [['-f'], 'ambiguous option: -f'],
    [['-c'], 'ambiguous option: -c'],
    [['-vb'], 'missing argument: -b'],
    [['--snap'], 'missing argument: --snap'],
  ];
  for (const [argv, message] of refused) {
    test(`refuses ${argv.join(' ')} with "${message}"`, () => refuses(argv, message));
  }

  test('gives an abbreviation to an option of the original before one of ours', () => {
    // "snapback" and "snapback-overwrite" both begin so.
    assert.deepEqual(parseOptions(['--snapb', 'f']).values, { snapback: 'f' });
    // "apply" of the original, "allow-smaller" of ours.
    assert.deepEqual(parseOptions(['--a', 'f']).values, { apply: 'f' });
    assert.deepEqual(parseOptions(['--al']).flags, { 'allow-smaller': true });
    assert.deepEqual(parseOptions(['--snapback-o']).flags, { 'snapback-overwrite': true });
  });

  test('knows every option of the table by its full and its short name', () => {
    for (const entry of OPTION_TABLE) {
      const names = 'short' in entry ? [`--${entry.name}`, `-${entry.short}`] : [`--${entry.name}`];
      for (const name of names) {
        // Without its command it is short for --server.
        const command = entry.name === 'serve' ? ['cycle'] : [];
        const { flags, values } = parseOptions([...command, name, 'value']);
        const value = 'withoutValue' in entry ? entry.withoutValue : 'value';
        const expected =
          'argument' in entry ? [{}, { [entry.name]: value }] : [{ [entry.name]: true }, {}];
        assert.deepEqual([flags, values], expected, name);
      }
    }
  });

  test('has no two options of one name', () => {
    const names = OPTION_TABLE.flatMap((entry) =>
      'short' in entry ? [entry.name, entry.short] : [entry.name],
    );
    assert.equal(new Set(names).size, names.length);
  });

  test('answers any words with options or with a usage error, and leaves argv as it was', () => {
    const alphabet = fc.constantFrom('-', '=', '_', ...'vdqbasreVhnocfpltu', ' ', 'é', '\n');
    const word = fc.oneof(fc.string({ unit: alphabet, maxLength: 8 }), fc.string());
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        const before = [...argv];
        try {
          parseOptions(argv);
        } catch (error) {
          assert(error instanceof LvmsyncError && error.code === 'usage');
        }
        assert.deepEqual(argv, before);
      }),
      { numRuns: 2000 },
    );
  });

  test('takes every word after -- as an operand', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        assert.deepEqual(parseOptions(['-v', '--', ...words]).operands, words);
      }),
    );
  });
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { LvmsyncError } from '../../../src/base/errors.js';
import { quotePath, quoteWord, splitWords } from '../../../src/base/shell-words.js';

function isUsageError(error: unknown): boolean {
  return error instanceof LvmsyncError && error.code === 'usage';
}

describe('splitting a command into words', () => {
  const rows: readonly [text: string, words: string[]][] = [
    ['ssh', ['ssh']],
    ['  ssh\t-p \n 22 ', ['ssh', '-p', '22']],
    ["ssh -i 'my key'", ['ssh', '-i', 'my key']],
    ['ssh -i "my key"', ['ssh', '-i', 'my key']],
    ['ssh -i my\\ key', ['ssh', '-i', 'my key']],
    ['ssh -o"User Name=x"y', ['ssh', '-oUser Name=xy']],
    [`a '"' "'"`, ['a', '"', "'"]],
    ["a ''", ['a', '']],
    ['a ""', ['a', '']],
    ["a 'b\\c'", ['a', 'b\\c']],
    ['a "b\\c\\"\\\\\\$\\`"', ['a', 'b\\c"\\$`']],
    ['a \\$HOME \\\\', ['a', '$HOME', '\\']],
    ['a $HOME `id` $(id) * ~ ; | & > # {b,c}', 'a $HOME `id` $(id) * ~ ; | & > # {b,c}'.split(' ')],
    ['a b\\\nc', ['a', 'bc']],
    ['a \\\n b', ['a', 'b']],
    ['a "b\\\nc"', ['a', 'bc']],
    ["a 'b\nc'", ['a', 'b\nc']],
    ['a\rb é', ['a\rb', 'é']],
  ];
  for (const [text, words] of rows) {
    test(`${JSON.stringify(text)} gives ${JSON.stringify(words)}`, () => {
      assert.deepEqual(splitWords(text), words);
    });
  }

  const refused: readonly [text: string, reason: RegExp][] = [
    ['', /does not name a program/],
    [' \t\n', /does not name a program/],
    ["'' -p 22", /does not name a program/],
    ['\\\n', /does not name a program/],
    ["ssh 'a", /the ' at character 5 is never closed/],
    ['ssh "a', /the " at character 5 is never closed/],
    ['ssh "a\\"', /the " at character 5 is never closed/],
    ['ssh "a\\', /the " at character 5 is never closed/],
    ['ssh \\', /ends in a backslash/],
  ];
  for (const [text, reason] of refused) {
    test(`${JSON.stringify(text)} is refused`, () => {
      assert.throws(
        () => splitWords(text),
        (error) => isUsageError(error) && reason.test((error as Error).message),
      );
    });
  }

  test('agrees with sh where sh expands nothing', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', ' ', '\t', "'", '"', '\\'),
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, (random) => {
        let words: string[];
        try {
          words = splitWords(`x ${random}`);
        } catch {
          return;
        }
        const { stdout, status } = spawnSync('sh', ['-c', `printf '%s\\0' x ${random}`]);
        assert.equal(status, 0);
        assert.deepEqual(stdout.toString().split('\0').slice(0, -1), words);
      }),
      { numRuns: 300 },
    );
  });

  test('undoes quoting', () => {
    const word = fc.string({ unit: 'binary' }).filter((text) => !/[\n\0]/.test(text));
    fc.assert(
      fc.property(fc.array(word), (words) => {
        assert.deepEqual(splitWords(['ssh', ...words.map(quoteWord)].join(' ')), ['ssh', ...words]);
      }),
    );
  });
});

describe('quoting a word', () => {
  const rows: readonly [word: string, quoted: string][] = [
    ['/dev/vg-0/l_v.1', '/dev/vg-0/l_v.1'],
    ['--apply', '--apply'],
    ['user@host:a,b+c', 'user@host:a,b+c'],
    ['', "''"],
    ['a b', "'a b'"],
    ['--ionice=best-effort:6', '--ionice=best-effort:6'],
    ['--nice=~', "'--nice=~'"],
    ['a=b', "'a=b'"],
    ['-a=b', "'-a=b'"],
    ['=ls', "'=ls'"],
    ['%self', "'%self'"],
    ['~root', "'~root'"],
    ["it's", "'it'\\''s'"],
    ['a\\b!', "'a'\\\\'b'\\!"],
  ];
  for (const [word, quoted] of rows) {
    test(`${word} gives ${quoted}`, () => assert.equal(quoteWord(word), quoted));
  }

  for (const word of ['a\nb', '\n', 'a\0']) {
    test(`${JSON.stringify(word)} is refused`, () => {
      assert.throws(() => quoteWord(word), isUsageError);
      assert.throws(() => quotePath(`~/${word}`), isUsageError);
    });
  }

  test('leaves only a leading ~/ of a path bare', () => {
    assert.equal(quotePath('~/a b'), "~/'a b'");
    assert.equal(quotePath('~/'), '~/');
    assert.equal(quotePath('~/~/x'), "~/'~/x'");
    assert.equal(quotePath('~root/x'), "'~root/x'");
    assert.equal(quotePath('a/~/b c'), "'a/~/b c'");
  });
});

const NASTY = [
  '',
  '-n',
  '--',
  '-',
  '~',
  '~/x',
  '~root',
  '=ls',
  '%self',
  '%1',
  '$HOME',
  '"$HOME"',
  '$(touch PWNED)',
  '`touch PWNED`',
  '; touch PWNED',
  '| touch PWNED',
  '& touch PWNED',
  '> PWNED',
  '(touch PWNED)',
  '*',
  '/*',
  '[a-z]*',
  '?',
  '{a,b}',
  '#comment',
  '^a^b',
  '!',
  '!!',
  '!-1',
  'a!b',
  "'!'",
  '"!"',
  '\\!',
  '\\',
  '\\\\',
  '\\n',
  "\\'",
  "'\\''",
  "'",
  '"',
  '$',
  "$'\\n'",
  ' ',
  '  a  ',
  '\t',
  '\r',
  '\x1b[2J',
  '\x03\x04\x1a',
  'é漢\u{1f600}',
  '\ufeff',
  'a=b',
  '@',
  ':',
];

const LATIN_1 = Array.from({ length: 255 }, (_, index) => String.fromCharCode(index + 1));
const ALL_BYTES = LATIN_1.filter((character) => character !== '\n');
const MIXED = ALL_BYTES.map((character) => `a${character}b${character}${character}'${character}`);

for (const shell of ['sh', 'dash', 'bash', 'zsh', 'fish', 'csh']) {
  const missing = spawnSync(shell, ['-c', 'exit 0']).error !== undefined;
  const skip = missing ? `${shell} is not installed here` : false;

  describe(`quoted words in ${shell}`, { skip }, () => {
    let home = '';
    before(() => {
      home = mkdtempSync(join(tmpdir(), 'words-'));
    });
    after(() => rmSync(home, { recursive: true }));

    /** What the shell makes of the words, as bytes; `encoding` is that of its command line. */
    function roundTrip(
      words: readonly string[],
      encoding: 'utf8' | 'latin1',
      locale: string,
    ): string[] {
      const script = `printf '%s\\0' ${words.map(quoteWord).join(' ')}`;
      // xargs hands over any bytes; spawn itself would write UTF-8 only.
      const run = spawnSync('xargs', ['-0', shell, '-c'], {
        input: Buffer.from(`${script}\0`, encoding),
        cwd: home,
        env: { PATH: process.env.PATH, HOME: home, LC_ALL: locale },
      });
      assert.equal(run.status, 0, run.stderr.toString());
      return run.stdout.toString(encoding).split('\0').slice(0, -1);
    }

    for (const locale of ['C', 'C.UTF-8']) {
      test(`arrive as they were: every character up to U+00FF, in the locale ${locale}`, () => {
        assert.deepEqual(roundTrip(ALL_BYTES, 'utf8', locale), ALL_BYTES);
        assert.deepEqual(roundTrip(MIXED, 'utf8', locale), MIXED);
        assert.deepEqual(roundTrip([ALL_BYTES.join('')], 'utf8', locale), [ALL_BYTES.join('')]);
      });

      test(`arrive as they were: every byte, valid as UTF-8 or not, in the locale ${locale}`, () => {
        assert.deepEqual(roundTrip(ALL_BYTES, 'latin1', locale), ALL_BYTES);
        assert.deepEqual(roundTrip(MIXED, 'latin1', locale), MIXED);
      });
    }

    test('arrive as they were: words that shells give a meaning to', () => {
      assert.deepEqual(roundTrip(NASTY, 'utf8', 'C.UTF-8'), NASTY);
    });

    test('arrive as they were: random words', () => {
      const unit = fc.oneof(
        fc.constantFrom(...'\'"\\!$`~=%^#&|;<>(){}[]*? \t\r-aZ'),
        fc.constantFrom('é', '漢', '\u{1f600}', '\x7f', '\x85'),
      );
      const word = fc.string({ unit, maxLength: 12 });
      fc.assert(
        fc.property(fc.array(word, { minLength: 30, maxLength: 60 }), (words) => {
          assert.deepEqual(roundTrip(words, 'utf8', 'C.UTF-8'), words);
        }),
        { numRuns: 12 },
      );
    });

    test('are never executed', () => {
      roundTrip(NASTY, 'utf8', 'C');
      assert(!readdirSync(home).includes('PWNED'));
    });

    test('with a bare ~/ in front name a file in the home directory', () => {
      const script = `printf '%s\\0' ${quotePath("~/it's $HOME")}`;
      const run = spawnSync(shell, ['-c', script], { env: { ...process.env, HOME: home } });
      assert.equal(run.stdout.toString(), `${home}/it's $HOME\0`);
    });
  });
}

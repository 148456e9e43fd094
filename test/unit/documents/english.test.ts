/**
 * Habits of another language that an English reader stumbles over, in the documents and in the texts that the program
 * prints: its messages, and the tables of options and commands, which the help and the man pages are made of.
 */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { literalsOf } from '../../helpers/program/source-literals.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** A piece of prose in which sentences follow each other. */
interface Block {
  readonly line: number;
  readonly text: string;
}

interface Habit {
  readonly name: string;
  readonly pattern: RegExp;
  /** What it must find, and what it must leave alone. */
  readonly bad: readonly string[];
  readonly good: readonly string[];
}

/** Where a sentence begins: first in its block, or after the end of another one. */
const BEGIN = String.raw`(?:^|(?<=[.!?]["*_)]*\s))["*_(]*`;

const HABITS: readonly Habit[] = [
  {
    name: 'a noun clause as a subject',
    // "What to do" and "What it means" are headings in the guide to troubleshooting. A question is no such clause.
    pattern: new RegExp(`${BEGIN}What (?!to do\\b|it means\\b)(?![^.!]*\\?)`, 'g'),
    bad: [
      'What is overwritten is kept.',
      'It ends. What was sent stays.',
      '"What is not there" fails.',
    ],
    good: ['What to do.', '**What it means.** Data was lost.', 'What is a chain? A directory.'],
  },
  {
    name: 'a fronted "of"',
    pattern: new RegExp(`${BEGIN}Of (?:an?|the|what|these|those|each|all)\\b`, 'g'),
    bad: ['Of a thin pool it is reserved.', 'It ends. Of the others nothing is known.'],
    good: ['The size of a pool.', 'Often it helps.'],
  },
  {
    name: 'tell, for report or show',
    // To tell things apart is idiomatic.
    pattern: /\btells? of\b|\b(?:is|are|was|were) told\b(?! apart)/g,
    bad: ['It tells of its end.', 'The sender is told\nof it.'],
    good: ['Tell the users.', 'They are told apart.', 'It cannot be told from damage.'],
  },
  {
    name: 'come to an end, for finish',
    pattern: /\b(?:comes?|came|coming) to (?:its|their|an) end\b/g,
    bad: ['It has not come to its end.', 'A run came\nto its end.'],
    good: ['At the end of the run.'],
  },
  {
    name: '"is no" and "is none", for "is not"',
    // "There is no ..." is the one idiom with these words.
    pattern: /(?<!\bthere) (?:is|are|was) (?:no (?!longer\b|more\b)|none\b)/gi,
    bad: ['It is no directory.', 'x: this is none', 'Which was no run of it.'],
    good: [
      'There is no room.',
      'It is no longer there.',
      'It is no more than a hint.',
      'if there is none',
    ],
  },
  {
    name: '"the other host", for the remote host',
    pattern: /(?<!\bany )\bother hosts?\b/gi,
    bad: ['On the other\nhost.'],
    good: ['On another host.', 'Any other host.', 'The remote host.'],
  },
];

/** In a message nobody knows which side that is. */
const OTHER_SIDE: Habit = {
  name: '"the other side", for the remote host',
  pattern: /\bother sides?\b/gi,
  bad: ['The other side ended.'],
  good: ['On both sides.'],
};

/** Phrases that were printed once, and were read twice. */
const PHRASES = [
  'Looking whether',
  'where the old one went on',
  'was is warned of',
  'as of Debian',
  'Every status but 0',
  'tell what was moved',
  'Say everything on standard error',
  'is called on the',
  'is so full',
  'The status is that with which',
  'asks for hashes of the destination',
  'come to rest',
  'it may come twice',
  'Go back to the newest point until',
  'its square and its cube',
  'holds the run up',
  'is recognised by itself',
  'but for those that a RULE keeps',
  'that nobody else wants',
  'Let the disks serve others',
  'is not for reading',
  'what is under way',
  'once more ends at once',
  'lead back from what',
  'from one turn to the next but one',
  'holds what the origin was',
  'the kernel counts as many',
  'says that all is well',
  'taken for an old lvmsync',
  'the stream does not tell',
  'not provably by',
  'was sent no message',
  'a mistake in lvmsync',
  ' to know of.',
  'may be frozen still',
  'by its former size',
  'full of waiting',
  'do not mind each other',
  'takes back that the signal',
  'that of all that has no own',
  'that no person runs',
  'does well to find out',
];

const PHRASE_PATTERNS = PHRASES.map((phrase) => {
  const words = phrase
    .trim()
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .split(/\s+/);
  return new RegExp(`(?<!\\w)${words.join('\\s+')}`, 'gi');
});

function findIn(blocks: readonly Block[], patterns: readonly RegExp[]): string[] {
  return blocks.flatMap(({ line, text }) =>
    patterns.flatMap((pattern) =>
      [...text.matchAll(new RegExp(spaced(pattern), pattern.flags))].map(({ index, 0: found }) => {
        const before = text.slice(0, index).split('\n');
        const shown = `${before.at(-1) ?? ''}${text.slice(index)}`.split('\n', 1)[0] ?? '';
        return `${line + before.length - 1}: ${shown.trim().slice(0, 160)}  <- ${found.trim()}`;
      }),
    ),
  );
}

/** A phrase may be broken over two lines. */
function spaced({ source }: RegExp): string {
  return source.replaceAll(' ', '\\s+');
}

/** Paragraphs, items and cells; what is code stays out. */
function blocksOf(markdown: string): Block[] {
  const blocks: { line: number; text: string }[] = [];
  let open: { line: number; text: string } | undefined;
  let isFenced = false;
  const begin = (line: number, text: string): void => {
    open = { line, text };
    blocks.push(open);
  };
  const lines = markdown.split('\n');
  for (const [index, whole] of lines.entries()) {
    const line = index + 1;
    const text = whole.replace(/`[^`]*`/g, 'CODE');
    if (/^\s*```/.test(whole)) isFenced = !isFenced;
    const isCode = isFenced || /^\s*```|^ {4,}(?![-*\d])/.test(whole);
    if (isCode && (isFenced || open === undefined)) continue;
    if (text.trim() === '' || text.startsWith('#')) {
      open = undefined;
      // A heading is no sentence.
      if (text.startsWith('#')) blocks.push({ line, text: text.replace(/^(#+) \d+\./, '$1') });
    } else if (text.startsWith('|')) {
      // Nor are those of a table.
      const isHead =
        lines[index + 1]?.startsWith('|-') === true || lines[index + 1]?.startsWith('| -') === true;
      const cells = isHead ? [] : text.split('|').slice(1, -1);
      for (const cell of cells) blocks.push({ line, text: cell.trim() });
      open = undefined;
    } else if (open === undefined || /^\s*(?:[-*]|\d+\.)\s/.test(text)) {
      begin(line, text.replace(/^\s*(?:[-*]|\d+\.)\s+/, ''));
    } else open.text += `\n${text}`;
  }
  return blocks;
}

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)
    .sort();
}

const DOCUMENTS = [
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md'].filter((name) => existsSync(ROOT + name)),
  ...filesBelow('docs', '.md'),
];

const read = (path: string): string => readFileSync(ROOT + path, 'utf8');

interface Place {
  readonly what: string;
  readonly files: readonly string[];
  readonly blocks: (text: string) => readonly Block[];
  readonly habits: readonly Habit[];
}

const WHERE: readonly Place[] = [
  { what: 'the documents', files: DOCUMENTS, blocks: blocksOf, habits: HABITS },
  {
    // The tables of options and commands are among them.
    what: 'the texts of the program',
    files: filesBelow('src', '.ts'),
    blocks: literalsOf,
    habits: [...HABITS, OTHER_SIDE],
  },
];

for (const { what, files, blocks, habits } of WHERE) {
  describe(`the English of ${what}`, () => {
    const all = files.map((path) => ({ path, blocks: blocks(read(path)) }));
    const hits = (patterns: readonly RegExp[]): string[] =>
      all.flatMap((one) => findIn(one.blocks, patterns).map((hit) => `${one.path}:${hit}`));

    for (const { name, pattern } of habits) {
      test(`is free of ${name}`, () => {
        const found = hits([pattern]);
        assert.equal(found.length, 0, `\n${found.join('\n')}`);
      });
    }

    test('is free of phrases that were mended before', () => {
      const found = hits(PHRASE_PATTERNS);
      assert.equal(found.length, 0, `\n${found.join('\n')}`);
    });
  });
}

describe('the patterns', () => {
  for (const { name, pattern, bad, good } of [...HABITS, OTHER_SIDE]) {
    test(`find ${name}, and nothing else`, () => {
      for (const text of bad) assert.equal(findIn([{ line: 1, text }], [pattern]).length, 1, text);
      for (const text of good) assert.deepEqual(findIn([{ line: 1, text }], [pattern]), [], text);
    });
  }

  test('look at texts only, with the line in which each begins', () => {
    const source = [
      "// 'a comment'",
      'const a = \'one\'; /* "two" */',
      "const b = /'/.test(a) ? `x $" + "{f({ a: 'in' })} y` : 4 / 2 / 1;",
      "const c = 'it\\'s';",
    ].join('\n');
    const found = literalsOf(source).map(({ line, text }) => `${line}: ${text}`);
    assert.deepEqual(found.sort(), ['2: one', '3: in', '3: x \n y', "4: it\\'s"]);
  });

  test('look at paragraphs, items and cells, but not at code', () => {
    const markdown =
      '# 1. What\n\nOne\ntwo `is no x`.\n\n- three\n  four\n\n```\nis none\n```\n\n| What |\n|---|\n| a |\n';
    const found = blocksOf(markdown).map(({ line, text }) => `${line}: ${text}`);
    assert.deepEqual(found, [
      '1: # What',
      '3: One\ntwo CODE.',
      '6: three\n  four',
      '14: ---',
      '15: a',
    ]);
  });
});

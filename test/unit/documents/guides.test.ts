import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { splitWords } from '../../../src/base/shell-words.js';
import { exitStatuses, optionSignature } from '../../../src/cli/help.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { OPTION_TABLE } from '../../../src/cli/option-table.js';
import { toCommand } from '../../../src/cli/parse.js';

/** Where commands are shown. */
const GUIDES = [
  'README.md',
  'docs/usage.md',
  'docs/migration.md',
  'docs/snapback.md',
  'docs/going-back.md',
  'docs/verify.md',
  'docs/tuning.md',
  'docs/troubleshooting.md',
  'docs/packages.md',
  'docs/json.md',
];

function textOf(path: string): string {
  return readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8');
}

/** The rows of the table of a document under the given heading row, as they stand there. */
function tableRows(path: string, heading: string): string[] {
  const lines = textOf(path).split('\n');
  const start = lines.indexOf(heading);
  assert.notEqual(start, -1, heading);
  const rest = lines.slice(start + 2);
  return rest.slice(
    0,
    rest.findIndex((line) => !line.startsWith('|')),
  );
}

/** The lvmsync commands of the examples, without what follows them on their line. */
function exampleCommands(path: string): string[] {
  const text = textOf(path).replaceAll('\\\n', ' ');
  const blocks = text.match(/^```sh\n[\s\S]*?^```/gm) ?? [];
  return blocks.flatMap(
    (block) => block.match(/(?<=^|^ssh \S+ |\| )lvmsync (?:(?! \d?>)[^|\n])*/gm) ?? [],
  );
}

describe('docs/usage.md', () => {
  test('lists exactly the options that exist, with the words of --help', () => {
    const expected = OPTION_TABLE.map(
      (entry) => `| \`${optionSignature(entry)}\` | ${entry.help} |`,
    );
    assert.deepEqual(tableRows('docs/usage.md', '| Option | Meaning |'), expected);
  });

  test('says what status 0 means, with the words of --help; troubleshooting.md has the others', () => {
    const [[status, meaning] = []] = exitStatuses();
    assert(textOf('docs/usage.md').includes(`\n${status}: ${meaning}.`));
  });
});

describe('README.md', () => {
  test('names every page', () => {
    const pages = readdirSync(new URL('../../../../docs', import.meta.url)).map(
      (name) => `docs/${name}`,
    );
    const text = textOf('README.md');
    assert.deepEqual(
      pages.filter((page) => !text.includes(`(${page})`)),
      [],
    );
  });

  test('is short enough to be read', () => {
    assert(textOf('README.md').split('\n').length <= 200);
  });
});

for (const path of GUIDES) {
  describe(path, () => {
    const examples = exampleCommands(path);

    test('has examples', () => {
      assert.notEqual(examples.length, 0);
    });

    for (const example of examples) {
      test(`shows a command that is understood: ${example.trim()}`, () => {
        const { kind } = toCommand(parseOptions(splitWords(example).slice(1)));
        assert(!['version', 'licenses', 'help'].includes(kind));
      });
    }

    test('links to files that exist', () => {
      const links = [...textOf(path).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)];
      const folder = new URL(`../../../../${path}`, import.meta.url);
      const missing = links
        .map(([, link = '']) => link)
        .filter((link) => !existsSync(new URL(link, folder)));
      assert.deepEqual(missing, []);
    });
  });
}

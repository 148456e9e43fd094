import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { exitStatuses, optionSignature } from '../../src/help.js';
import { OPTION_TABLE } from '../../src/option-table.js';
import { parseOptions, toCommand } from '../../src/options.js';
import { splitWords } from '../../src/words.js';

const README = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

/** The rows of the table under the given heading row, as they stand there. */
function tableRows(heading: string): string[] {
  const lines = README.split('\n');
  const start = lines.indexOf(heading);
  assert.notEqual(start, -1, heading);
  const rest = lines.slice(start + 2);
  return rest.slice(
    0,
    rest.findIndex((line) => !line.startsWith('|')),
  );
}

/** The lvmsync commands of the examples, without what follows them on their line. */
function exampleCommands(): string[] {
  const blocks = README.match(/^```sh\n[\s\S]*?^```/gm) ?? [];
  return blocks.flatMap((block) => block.match(/(?<=^|^ssh \S+ |\| )lvmsync [^|>\n]*/gm) ?? []);
}

describe('README', () => {
  it('lists exactly the options that exist, with the words of --help', () => {
    const expected = OPTION_TABLE.map(
      (entry) => `| \`${optionSignature(entry)}\` | ${entry.help} |`,
    );
    assert.deepEqual(tableRows('| Option | Meaning |'), expected);
  });

  it('lists exactly the exit statuses that exist, with the words of --help', () => {
    const expected = exitStatuses().map(([status, meaning]) => `| ${status} | ${meaning} |`);
    assert.deepEqual(tableRows('| Status | Meaning |'), expected);
  });

  it('has examples', () => {
    assert(exampleCommands().length >= 7);
  });

  for (const example of exampleCommands()) {
    it(`shows a command that is understood: ${example.trim()}`, () => {
      const { kind } = toCommand(parseOptions(splitWords(example).slice(1)));
      assert(!['version', 'help'].includes(kind));
    });
  }
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { splitWords } from '../../../src/base/shell-words.js';
import { exitStatuses } from '../../../src/cli/help.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';

const GUIDE = readGuide('troubleshooting');

function readGuide(name: string): string {
  return readFileSync(new URL(`../../../../docs/${name}.md`, import.meta.url), 'utf8');
}

function shownCommands(guide = GUIDE): string[] {
  const blocks = guide.match(/^```sh\n[\s\S]*?^```/gm) ?? [];
  return blocks.flatMap((block) => block.match(/^lvmsync .*/gm) ?? []);
}

describe('the guide to troubleshooting', () => {
  test('has a section on every exit status that is a failure, in the words of --help', () => {
    const headings = [...GUIDE.matchAll(/^## Status (.*)$/gm)].map(([, text]) => text);
    const failures = exitStatuses().filter(([status]) => status !== '0');
    assert.deepEqual(
      headings,
      failures.map(([status, meaning]) => `${status}: ${meaning}`),
    );
  });

  test('says of each what it means, what state was left, and what to do', () => {
    for (const section of GUIDE.split(/^## Status /m).slice(1)) {
      const parts = [...section.matchAll(/\*\*(.*?)\*\*/g)].map(([, name]) => name);
      assert.deepEqual(parts, ['What it means.', 'State.', 'What to do.'], section);
    }
  });

  test('begins with the doctor', () => {
    assert.match(shownCommands()[0] ?? '', /^lvmsync doctor/);
  });

  for (const command of [...shownCommands(), ...shownCommands(readGuide('performance'))]) {
    test(`shows a command that is understood: ${command}`, () => {
      assert.doesNotThrow(() => toCommand(parseOptions(splitWords(command).slice(1))));
    });
  }
});

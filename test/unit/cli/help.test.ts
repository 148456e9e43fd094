import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EXIT, EXIT_MEANING } from '../../../src/base/errors.js';
import { exitStatuses, formatHelp, optionSignature } from '../../../src/cli/help.js';
import { OPTION_TABLE } from '../../../src/cli/option-table.js';

const LINES = formatHelp().split('\n');

describe('help', () => {
  test('keeps every line under 80 columns', () => {
    assert.deepEqual(
      LINES.filter((line) => line.length >= 80),
      [],
    );
  });

  test('ends in one newline and has no blanks at line ends', () => {
    assert.match(formatHelp(), /[^\n]\n$/);
    assert.doesNotMatch(formatHelp(), / \n/);
  });

  test('shows every option once, with its explanation below', () => {
    for (const entry of OPTION_TABLE) {
      const signature = `  ${optionSignature(entry)}`;
      assert.equal(LINES.filter((line) => line === signature).length, 1, entry.name);
      const below = LINES[LINES.indexOf(signature) + 1] ?? '';
      assert(entry.help.startsWith(below.trim()) && below.trim() !== '', entry.name);
    }
  });

  test('shows every exit status with its meaning, in ascending order', () => {
    const table = LINES.slice(LINES.indexOf('Exit status:') + 1);
    const rows = table.slice(0, table.indexOf(''));
    const statuses = rows.map((row) => row.slice(0, 8).trim());
    const known = Object.values(EXIT).sort((a, b) => a - b);
    assert.deepEqual(statuses, [...known.map(String), '128+N']);
    for (const meaning of Object.values(EXIT_MEANING)) {
      assert(
        rows.some((row) => row.endsWith(meaning)),
        meaning,
      );
    }
  });

  test('gives no exit status two meanings', () => {
    const statuses = exitStatuses().map(([status]) => status);
    assert.equal(new Set(statuses).size, statuses.length);
  });

  test('writes signatures with the short name first', () => {
    const signatures = OPTION_TABLE.map(optionSignature);
    assert(signatures.includes('-b, --snapback FILE'));
    assert(signatures.includes('-v, --[no-]verbose'));
    assert(signatures.includes('--force'));
  });
});

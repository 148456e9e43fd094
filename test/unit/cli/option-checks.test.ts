import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { saysJson } from '../../../src/cli/option-checks.js';

describe('messages', () => {
  const rows: readonly [words: string, json: boolean][] = [
    ['vg/snap /dev/x', false],
    ['--json vg/snap /dev/x', true],
    ['vg/snap --js /dev/x', true],
    ['-- --json vg/snap /dev/x', false],
    ['verify --json vg/snap /dev/x', true],
    ['inspect --json file', false],
    ['--json chain dir', false],
    // Here the word is the name of a file.
    ['--json --apply chain /dev/x', true],
    ['--bogus --json', true],
    ['--bogus -- --json', false],
    ['inspect --bogus --json', false],
    ['--json --apply changes --stdout vg/snap', true],
  ];
  for (const [words, json] of rows) {
    test(`of "${words}" are ${json ? 'JSON' : 'text'}`, () => {
      assert.equal(saysJson(words.split(' ')), json);
    });
  }
});

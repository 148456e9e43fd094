import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LvmsyncError } from '../../../src/base/errors.js';
import { parseStatus } from '../../../src/lvm/dmsetup-status.js';
import { parseInfo, parseTable } from '../../../src/lvm/dmsetup-table.js';

describe('a text that dmsetup may have printed', () => {
  test('is either read or refused with an error of ours', () => {
    const words = fc.constantFrom(
      '0',
      '8',
      'snapshot',
      'thin',
      'thin-pool',
      '1/2',
      '-',
      'rw',
      'a:',
      '\n',
      '7:0',
      '99999999999999999',
    );
    const texts = fc.oneof(
      fc.array(words, { maxLength: 30 }).map((parts) => parts.join(' ')),
      fc.string({ unit: 'binary', maxLength: 200 }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        for (const parse of [parseStatus, parseTable, parseInfo]) {
          try {
            parse(text);
          } catch (error) {
            assert.ok(error instanceof LvmsyncError, String(error));
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

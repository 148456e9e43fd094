import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseIoPriority } from '../../../src/host/io-priority.js';

describe('--ionice', () => {
  const rows: readonly [text: string, ioClass: number, level: number][] = [
    ['idle', 3, 0],
    ['best-effort', 2, 4],
    ['best-effort:0', 2, 0],
    ['realtime:7', 1, 7],
  ];
  for (const [text, ioClass, level] of rows) {
    test(`understands ${text}`, () =>
      assert.deepEqual(parseIoPriority(text), { text, ioClass, level }));
  }

  for (const text of ['idle:1', 'best-effort:8', 'best-effort:', 'none', '3', 'IDLE', ' idle']) {
    test(`refuses "${text}"`, () =>
      assert.throws(() => parseIoPriority(text), { name: 'LvmsyncError', code: 'usage' }));
  }
});

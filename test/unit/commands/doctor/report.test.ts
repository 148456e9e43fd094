import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../../src/base/errors.js';
import { parseOptions } from '../../../../src/cli/option-grammar.js';
import { toCommand } from '../../../../src/cli/parse.js';
import {
  type Diagnosis,
  failureOf,
  formatDiagnosis,
  parseDiagnosis,
  statusOf,
  summarize,
} from '../../../../src/commands/doctor/report.js';

const OK: Diagnosis = { level: 'ok', subject: 'lvs', text: '2.03.16' };
const WARNING: Diagnosis = { level: 'warning', subject: 'ssh2', text: 'not installed' };
const MISSING: Diagnosis = { level: 'missing', subject: 'ssh', text: 'not found', remedy: 'Buy.' };

describe('what the doctor says', () => {
  test('is a line for each thing, and below it what to do', () => {
    assert.equal(formatDiagnosis(OK), 'ok       lvs           2.03.16\n');
    const lines = formatDiagnosis({ ...MISSING, host: 'backup' });
    assert.equal(
      lines,
      `missing  ssh           backup: not found\n${' '.repeat(23)}On backup: Buy.\n`,
    );
  });

  test('lets nothing that another host says act on the terminal', () => {
    const lines = formatDiagnosis({ ...MISSING, text: 'a\x1b[2Jb\nc', remedy: 'd\re' });
    assert.equal(lines.split('\n').length, 3);
    assert.ok(!lines.includes('\x1b') && !lines.includes('\r'));
  });

  const ends: readonly [title: string, Diagnosis[], status: number, summary: string][] = [
    ['nothing but what is well', [OK, OK], 0, 'Nothing is missing.'],
    ['a warning', [OK, WARNING], 0, 'Nothing is missing, 1 warning.'],
    ['something missing', [OK, MISSING], 1, '1 problem that will make a run fail.'],
    ['both', [MISSING, WARNING, MISSING], 1, '2 problems that will make a run fail, 1 warning.'],
  ];
  for (const [title, found, status, summary] of ends) {
    test(`ends with ${status} after ${title}`, () => {
      assert.equal(statusOf(found), status);
      assert.equal(summarize(found), summary);
    });
  }

  test('passes through JSON whole', () => {
    for (const one of [OK, WARNING, MISSING, { ...OK, size: 4096 }]) {
      assert.deepEqual(parseDiagnosis(JSON.stringify(one)), one);
    }
  });

  for (const line of ['', 'null', '[]', '"ok"', '{', '{"level":"fine","subject":"a","text":"b"}']) {
    test(`is not taken from ${JSON.stringify(line)}`, () => {
      assert.equal(parseDiagnosis(line), undefined);
    });
  }

  test('does not let another host choose the host it speaks for', () => {
    const found = parseDiagnosis(JSON.stringify({ ...OK, host: 'other', remedy: 7, size: 'x' }));
    assert.deepEqual(found, OK);
  });

  test('of a failure is its message and its hint', () => {
    const error = new LvmsyncError('locked', 'taken', { hint: 'Wait.', state: 'x' });
    const { level, text, remedy } = failureOf('destination', error);
    assert.deepEqual([level, text, remedy], ['missing', 'taken', 'Wait.']);
  });
});

describe('the words of doctor', () => {
  const cases: readonly [
    words: string[],
    snapshot: string | undefined,
    host: string | undefined,
    path: string | undefined,
    receives: boolean,
  ][] = [
    [[], undefined, undefined, undefined, false],
    [['vg/snap'], 'vg/snap', undefined, undefined, false],
    [['backup:/dev/vg/x'], undefined, 'backup', '/dev/vg/x', false],
    [['vg/snap', 'backup:/dev/vg/x'], 'vg/snap', 'backup', '/dev/vg/x', false],
    [['vg/snap', '/dev/vg/x'], 'vg/snap', undefined, '/dev/vg/x', false],
    [['-', '/dev/vg/x'], undefined, undefined, '/dev/vg/x', true],
    [['-'], undefined, undefined, undefined, true],
  ];
  for (const [words, snapshot, host, path, receives] of cases) {
    test(`are understood: ${words.join(' ') || 'none'}`, () => {
      const command = toCommand(parseOptions(['doctor', ...words]));
      assert.ok(command.kind === 'doctor');
      assert.equal(command.snapshot, snapshot);
      assert.equal(command.destination?.host, host);
      assert.equal(command.destination?.path, path);
      assert.equal(command.receives, receives);
    });
  }
  for (const words of [
    ['a', 'b', 'c'],
    ['--force', 'vg/snap'],
    ['--apply', 'x', 'vg/snap', 'y'],
  ]) {
    test(`are refused: ${words.join(' ')}`, () => {
      assert.throws(() => toCommand(parseOptions(['doctor', ...words])), LvmsyncError);
    });
  }
});

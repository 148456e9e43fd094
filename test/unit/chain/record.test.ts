import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { LvmsyncError } from '../../../src/base/errors.js';
import { isLinkName, linkName } from '../../../src/chain/link.js';
import {
  type ChainRecord,
  isPointTime,
  parseRecord,
  readRecord,
  writeRecord,
} from '../../../src/chain/record.js';
import { pointAt } from '../../helpers/chain/chain-laboratory.js';
import { idOf, modelChain } from '../../helpers/chain/chain-model.js';

const folder = mkdtempSync(join(tmpdir(), 'chain-record-'));
after(() => rmSync(folder, { recursive: true }));

const { record } = modelChain([1, 1]);
const undone = { folder: 'undone-2026-11-23T10-00-00Z', redo: idOf(9) };
const PARTS = { set: idOf(7), count: 3, ended: [2], failed: [1], places: [0, 4096] };
const corrupt = (error: unknown): boolean =>
  error instanceof LvmsyncError && error.code === 'streamCorrupt';

describe('the record of a chain', () => {
  const kinds: readonly [string, Partial<ChainRecord>][] = [
    ['of a chain at rest', {}],
    [
      'of a chain that begins',
      { point: null, last: null, doing: { what: 'init', to: pointAt(0) } },
    ],
    ['of a turn under way', { doing: { what: 'turn', to: pointAt(3) } }],
    ['of a turn of several streams', { doing: { what: 'turn', to: pointAt(3), parts: PARTS } }],
    ['of a rollback under way', { doing: { what: 'rollback', to: pointAt(1), ...undone } }],
    ['of a rollback that is being taken back', { doing: { what: 'redo', ...undone } }],
    ['after a rollback', { undone, pruned: idOf(1) }],
    ['of a logical volume', { destination: { identity: 'LVM-abc', path: '/dev/vg/x', size: 1 } }],
  ];
  for (const [what, changed] of kinds) {
    test(`${what} is read as it was written`, () => {
      const whole = { ...record, ...changed };
      writeRecord(folder, whole);
      assert.deepEqual(readRecord(folder), whole);
    });
  }

  test('is for its owner only, and leaves no draft', () => {
    writeRecord(folder, record);
    assert.deepEqual(readdirSync(folder), ['chain.json']);
    assert.equal(statSync(join(folder, 'chain.json')).mode & 0o777, 0o600);
  });

  test('is written beside a draft of a run that died, and never through a link', () => {
    const elsewhere = join(folder, 'elsewhere');
    writeFileSync(elsewhere, 'untouched');
    symlinkSync(elsewhere, join(folder, 'chain.json.draft'));
    writeRecord(folder, record);
    assert.deepEqual(readRecord(folder), record);
    assert.equal(statSync(elsewhere).size, 9);
    rmSync(elsewhere);
  });

  test('is undefined where there is none', () => {
    assert.equal(readRecord(join(folder, 'nowhere')), undefined);
  });

  test('is refused where it is damaged on disk', () => {
    const path = join(folder, 'chain.json');
    writeFileSync(path, '{"version": 1');
    assert.throws(() => readRecord(folder), corrupt);
    rmSync(path);
  });

  const wrong: readonly [string, unknown][] = [
    ['no JSON', undefined],
    ['of another version', { ...record, version: 2 }],
    ['a list', []],
    ['without a destination', { ...record, destination: null }],
    ['with half a point', { ...record, point: { uuid: 'x' } }],
    ['with a point of no time', { ...record, point: { uuid: 'x', time: 'yesterday' } }],
    ['with an id that is none', { ...record, last: '../../etc' }],
    ['doing what is not known', { ...record, doing: { what: 'dance' } }],
    [
      'with a folder that leads out of the chain',
      { ...record, undone: { ...undone, folder: 'undone-/../..' } },
    ],
  ];
  for (const [what, value] of wrong) {
    test(`is refused where it is ${what}`, () => {
      const text = value === undefined ? '{' : JSON.stringify(value);
      assert.throws(() => parseRecord(text, 'chain.json'), corrupt);
    });
  }

  test('is understood or refused, whatever stands there', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        assert.throws(() => parseRecord(text, 'chain.json'), corrupt);
      }),
    );
  });
});

describe('the time of a point', () => {
  const times: readonly [string, boolean][] = [
    ['2026-11-23T10:15:00Z', true],
    ['2024-02-29T23:59:59Z', true],
    ['2026-02-29T10:15:00Z', false],
    ['2026-11-23T24:00:00Z', false],
    ['2026-11-23T10:15:00.000Z', false],
    ['2026-11-23T10:15:00', false],
    ['2026-11-23', false],
  ];
  for (const [text, good] of times) {
    test(`${good ? 'may' : 'cannot'} be ${text}`, () => assert.equal(isPointTime(text), good));
  }
});

describe('the name of a link', () => {
  test('is the time of the point, and tells attempts apart', () => {
    assert.equal(linkName(pointAt(10), 1), '2026-11-23T10-00-00Z.snapback');
    assert.equal(linkName(pointAt(10), 3), '2026-11-23T10-00-00Z.3.snapback');
    for (const attempt of [1, 2, 10]) assert.ok(isLinkName(linkName(pointAt(3), attempt)));
  });

  for (const name of ['chain.json', 'redo.snapback', 'x.snapback', '.snapback', '../a.snapback']) {
    test(`is not ${name}`, () => assert.equal(isLinkName(name), false));
  }
});

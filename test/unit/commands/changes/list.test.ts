import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { headOf, jsonPieces, linePieces } from '../../../../src/commands/changes/list.js';
import { batchesOf } from '../../../../src/commands/changes/write-pieces.js';
import { ExtentList, NO_EXTENTS } from '../../../../src/device/extent.js';
import type { Stretch } from '../../../../src/device/stretches.js';

const LISTED_AT = new Date('2026-11-23T10:15:00Z');
const SOURCE = {
  device: { path: '/dev/mapper/vg0-mail', size: 1_000_000 },
  extents: new ExtentList(Float64Array.of(4096, 8192, 65536, 4096)),
  zeros: new ExtentList(Float64Array.of(4096, 4096)),
  chunkSize: 4096,
};
const STRETCHES: readonly Stretch[] = [
  { offset: 4096, length: 4096, kind: 'zero' },
  { offset: 8192, length: 4096, kind: 'data' },
  { offset: 2 ** 52, length: 4096, kind: 'data' },
];

describe('a list as lines', () => {
  test('has offset, length and kind, in decimal', () => {
    assert.deepEqual(
      [...linePieces(STRETCHES)],
      ['4096 4096 zero\n', '8192 4096 data\n', '4503599627370496 4096 data\n'],
    );
  });
});

describe('a list as a document', () => {
  const volumes = {
    from: { name: 'vg0/mail-snap', uuid: 'abc', createdAt: 1_795_407_572 },
    to: { name: 'vg0/mail', uuid: 'def', createdAt: undefined },
  };
  const documentOf = (stretches: readonly Stretch[], source: Parameters<typeof headOf>[0]) =>
    [...jsonPieces(headOf(source, LISTED_AT), stretches)].join('');

  test('says what it is of, and has each extent on a line of its own', () => {
    const text = documentOf(STRETCHES, { ...SOURCE, volumes });
    const { program, ...rest } = JSON.parse(text);
    assert.match(program, /^lvmsync \d/);
    assert.deepEqual(rest, {
      version: 1,
      listedAt: '2026-11-23T10:15:00.000Z',
      device: '/dev/mapper/vg0-mail',
      deviceSize: 1_000_000,
      chunkSize: 4096,
      from: { name: 'vg0/mail-snap', uuid: 'abc', createdAt: '2026-11-23T04:19:32.000Z' },
      to: { name: 'vg0/mail', uuid: 'def', createdAt: null },
      dataBytes: 8192,
      zeroBytes: 4096,
      extents: STRETCHES,
    });
    assert.equal(text.split('\n').length, STRETCHES.length + 3);
  });

  test('is one of no extents, too, and of no volumes', () => {
    const nothing = { ...SOURCE, extents: NO_EXTENTS, zeros: NO_EXTENTS };
    const { extents, from, to } = JSON.parse(documentOf([], nothing));
    assert.deepEqual([extents, from, to], [[], null, null]);
  });

  test('has nothing in it that acts on a terminal', () => {
    const device = { path: '/dev/\x1b[2J}\n', size: 1 };
    const text = documentOf([], { ...SOURCE, device });
    assert.ok(!text.includes('\x1b'));
    assert.equal(JSON.parse(text).device, device.path);
  });
});

describe('the pieces of a text', () => {
  test('are gathered into writes that stay small, and lose nothing', () => {
    const pieces = Array.from({ length: 1000 }, (_, index) => `${index}\n`);
    const batches = [...batchesOf(pieces, 100)];
    assert.equal(batches.join(''), pieces.join(''));
    assert.ok(batches.every(({ length }) => length > 0 && length < 110));
    assert.deepEqual([...batchesOf([])], []);
  });

  test('are taken as they are written, not before', () => {
    let taken = 0;
    const pieces = (function* () {
      for (; taken < 1000; taken++) yield '0123456789';
    })();
    batchesOf(pieces, 100).next();
    assert.ok(taken < 11, `${taken}`);
  });
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseInfo, parseTable } from '../../../src/lvm/dmsetup-table.js';

const golden = (path: string) =>
  readFileSync(new URL(`../../../../test/golden/${path}`, import.meta.url), 'utf8');

describe('parseTable', () => {
  test('reads the genuine table of a thick snapshot', () => {
    assert.deepEqual(parseTable(golden('thick-64k/dmsetup-table.txt')), [
      {
        name: 'vg0-copy',
        start: 0,
        length: 32768,
        type: 'linear',
        device: '7:0',
        offsetSectors: 34816,
      },
      { name: 'vg0-my--data', start: 0, length: 32768, type: 'snapshot-origin', device: '254:2' },
      {
        name: 'vg0-my--data-real',
        start: 0,
        length: 32768,
        type: 'linear',
        device: '7:0',
        offsetSectors: 2048,
      },
      {
        name: 'vg0-snap',
        start: 0,
        length: 32768,
        type: 'snapshot',
        origin: '254:2',
        cow: '254:3',
        store: 'P',
        chunkSizeSectors: 128,
      },
      {
        name: 'vg0-snap-cow',
        start: 0,
        length: 40960,
        type: 'linear',
        device: '7:0',
        offsetSectors: 67584,
      },
    ]);
  });

  test('reads the genuine table of a thin pool', () => {
    const targets = parseTable(golden('thin-64k/dmsetup-table.txt'));
    assert.deepEqual(
      targets.filter(({ type }) => type !== 'linear'),
      [
        {
          name: 'vg0-my--data',
          start: 0,
          length: 65536,
          type: 'thin',
          pool: '254:2',
          deviceId: 1,
          externalOrigin: undefined,
        },
        {
          name: 'vg0-other',
          start: 0,
          length: 32768,
          type: 'thin',
          pool: '254:2',
          deviceId: 2,
          externalOrigin: undefined,
        },
        {
          name: 'vg0-pool-tpool',
          start: 0,
          length: 131072,
          type: 'thin-pool',
          metadata: '254:0',
          data: '254:1',
          blockSizeSectors: 128,
          zeroesNewBlocks: true,
        },
        {
          name: 'vg0-snap',
          start: 0,
          length: 65536,
          type: 'thin',
          pool: '254:2',
          deviceId: 3,
          externalOrigin: undefined,
        },
      ],
    );
  });

  test('reads the genuine table of a running merge', () => {
    const targets = parseTable(golden('lvm-states/thick-merging/dmsetup-table.txt'));
    const types = targets.map(({ name, type }) => [name, type]);
    assert.deepEqual(types, [
      ['slow', 'other'],
      ['v-o', 'snapshot-merge'],
      ['v-o-real', 'linear'],
      ['v-s', 'error'],
      ['v-s-cow', 'linear'],
    ]);
  });

  test('reads an external origin, features of a snapshot, and a device asked for alone', () => {
    const text = '0 8 thin 254:2 6 254:8\n8 16 snapshot 254:1 254:2 PO 8 1 discard_zeroes_cow\n';
    assert.deepEqual(parseTable(text), [
      {
        name: undefined,
        start: 0,
        length: 8,
        type: 'thin',
        pool: '254:2',
        deviceId: 6,
        externalOrigin: '254:8',
      },
      {
        name: undefined,
        start: 8,
        length: 16,
        type: 'snapshot',
        origin: '254:1',
        cow: '254:2',
        store: 'PO',
        chunkSizeSectors: 8,
      },
    ]);
  });

  test('knows a thin volume whose pool has failed', () => {
    const [target] = parseTable('0 49152 thin Fail \n');
    assert.equal(target?.type, 'failed-thin');
  });

  const broken = [
    'text',
    '0 8',
    'x 8 linear 7:0 0',
    '0 8 linear 7:0',
    '0 8 linear /dev/sda 0',
    '0 8 snapshot 254:1 254:2 P',
    '0 8 snapshot 254:1 P 8',
    '0 8 snapshot 254:1 254:2 P eight',
    '0 8 snapshot-origin',
    '0 8 thin 254:1',
    '0 8 thin-pool 254:0 254:1',
    '0 8 thin 254:1 99999999999999999999',
  ];
  for (const line of broken) {
    test(`refuses the line "${line}"`, () => {
      assert.throws(() => parseTable(`0 8 error \n${line}\n`), {
        code: 'sourceUnfit',
        message: `dmsetup: a line of unknown form (${line})`,
      });
    });
  }
});

describe('parseInfo', () => {
  test('reads genuine numbers and uuids, and a device without uuid', () => {
    const info = parseInfo(golden('lvm-states/thick-merging/dmsetup-info.txt'));
    assert.deepEqual([...info.keys()], ['slow', 'v-o', 'v-o-real', 'v-s', 'v-s-cow']);
    assert.deepEqual(info.get('slow'), { number: '254:0', uuid: '' });
    assert.match(info.get('v-s-cow')?.uuid ?? '', /^LVM-\w{64}-cow$/);
  });

  test('refuses a line without numbers', () => {
    assert.throws(() => parseInfo('No devices found\n'), /dmsetup: a line of unknown form/);
  });
});

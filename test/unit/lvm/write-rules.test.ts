import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FileDevice } from '../../../src/device/block-device.js';
import { Topology } from '../../../src/device/topology.js';
import type { ReadTable } from '../../../src/lvm/dmsetup.js';
import { findUnzeroed, refuseSharedBlocks } from '../../../src/lvm/unzeroed-blocks.js';
import { findWriteRules } from '../../../src/lvm/write-rules.js';
import { scratchFolder } from '../../helpers/scratch.js';

const POOL = '0 131072 thin-pool 254:3 254:4 384 0 0\n';
const ALIGNMENT = 512;

const NOTHING = new Topology({ root: '/no/such/place', identify: () => undefined });

/** All that is asked of a device here. */
function device(blockDevice: boolean): FileDevice {
  const info = { blockDevice, major: 254, minor: 9, alignment: ALIGNMENT };
  return Object.defineProperties(Object.create(FileDevice.prototype), {
    info: { value: info },
    size: { value: 131072 * 512 },
  });
}

describe('how space is given back', () => {
  const rows: readonly (readonly [string, Readonly<Record<string, string>>, boolean, number])[] = [
    [
      'a thin volume: discards of whole blocks of its pool',
      { '254:9': '0 131072 thin 254:5 7\n', '254:5': POOL },
      true,
      384 * 512,
    ],
    [
      'a thin volume whose external origin shows where it is unmapped: holes only',
      { '254:9': '0 131072 thin 254:5 7 254:8\n', '254:5': POOL },
      false,
      ALIGNMENT,
    ],
    [
      'a thin volume whose pool says nothing: holes only',
      { '254:9': '0 131072 thin 254:5 7\n' },
      false,
      ALIGNMENT,
    ],
    [
      'a thin volume on what is no pool: holes only',
      { '254:9': '0 131072 thin 254:5 7\n', '254:5': '0 131072 linear 7:0 2048\n' },
      false,
      ALIGNMENT,
    ],
    ['a linear volume: holes only', { '254:9': '0 131072 linear 7:0 2048\n' }, false, ALIGNMENT],
    [
      'thick snapshots over a thin volume: holes only',
      { '254:9': '0 131072 snapshot-origin 254:11\n' },
      false,
      ALIGNMENT,
    ],
    [
      'a device that begins with a thin one: holes only',
      { '254:9': '0 65536 thin 254:5 7\n65536 65536 linear 7:0 0\n', '254:5': POOL },
      false,
      ALIGNMENT,
    ],
    ['a device that is not mapped: holes only', {}, false, ALIGNMENT],
    ['a device whose table is empty: holes only', { '254:9': '' }, false, ALIGNMENT],
  ];
  for (const [title, tables, discard, granularity] of rows) {
    test(title, async () => {
      const { punch } = await findWriteRules(device(true), async (number) => tables[number]);
      assert.deepEqual(punch, { discard, granularity });
    });
  }

  test('a file: holes, and no table is asked for', async () => {
    const path = join(scratchFolder(), 'file');
    writeFileSync(path, 'x');
    const file = await FileDevice.open(path, { role: 'destination', write: true });
    try {
      const { punch } = await findWriteRules(file, () => assert.fail('no device, no table'));
      assert.deepEqual(punch, { discard: false, granularity: file.info.alignment });
    } finally {
      await file.close();
    }
  });
});

describe('where new blocks of a thin pool are not zeroed', () => {
  const bare = '0 131072 thin-pool 254:3 254:4 384 0 2 ignore_discard skip_block_zeroing\n';
  const blockSize = 384 * 512;
  const end = 131072 * 512;
  const whole = { start: 0, end, blockSize, shift: 0, bareFrom: 0 };
  const rows: readonly (readonly [string, Readonly<Record<string, string>>, readonly unknown[]])[] =
    [
      ['nowhere in a pool that zeroes', { '254:9': '0 131072 thin 254:5 7\n', '254:5': POOL }, []],
      ['in all of a thin volume', { '254:9': '0 131072 thin 254:5 7\n', '254:5': bare }, [whole]],
      [
        'under thick snapshots, too',
        {
          '254:9': '0 131072 snapshot-origin 254:11\n',
          '254:11': '0 131072 thin 254:5 7\n',
          '254:5': bare,
        },
        [whole],
      ],
      [
        'only behind what an external origin has',
        { '254:9': '0 131072 thin 254:5 7 254:8\n', '254:5': bare },
        [{ ...whole, bareFrom: 65536 * 512 }],
      ],
      [
        'in the part of a volume that lies on a thin one',
        {
          '254:9': '0 1000 linear 7:0 0\n1000 130072 linear 254:11 2048\n',
          '254:11': '0 262144 thin 254:5 7\n',
          '254:5': bare,
        },
        [{ ...whole, start: 1000 * 512, shift: ((2048 - 1000) * 512) % blockSize }],
      ],
      ['nowhere on a plain disk', { '254:9': '0 131072 linear 7:0 2048\n' }, []],
    ];
  for (const [title, tables, expected] of rows) {
    test(`F2: ${title}`, async () => {
      const { info, size } = device(true);
      const sizeOf = (number: string) => (number === '254:8' ? 65536 * 512 : undefined);
      const readTable: ReadTable = async (number) => tables[number];
      const { stretches, hidden } = await findUnzeroed(
        { info, size },
        { readTable, sizeOf, topology: NOTHING },
      );
      assert.deepEqual(stretches, expected);
      assert.equal(hidden, undefined);
    });
  }
});

describe('several streams to a pool that does not zero new blocks', () => {
  const stretch = { start: 0, end: 2 ** 30, blockSize: 64 * 1024, shift: 0, bareFrom: 0 };

  test('F2: may come where no block lies on both sides of a cut', () => {
    refuseSharedBlocks([stretch], '/dev/vg/copy');
    refuseSharedBlocks([], '/dev/vg/copy');
  });

  for (const [what, other] of [
    ['blocks that do not divide a MiB', { blockSize: 192 * 1024 }],
    ['blocks larger than a MiB', { blockSize: 2 ** 21 }],
    ['blocks that begin elsewhere', { shift: 512 }],
  ] as const) {
    test(`F2: are refused over ${what}`, () => {
      assert.throws(
        () => refuseSharedBlocks([{ ...stretch, ...other }], '/dev/vg/copy'),
        /without --streams|two streams could write/,
      );
    });
  }
});

describe('where a destination holds anything but zeros at most', () => {
  const thin = { '254:9': '0 131072 thin 254:5 7\n', '254:5': POOL };
  const rows = [
    ['where a thin volume maps nothing, nowhere', thin, '0 131072 thin 0 -\n', 0, 0],
    ['up to the last block that it maps', thin, '0 131072 thin 768 1919\n', 1920 * 512, 768 * 512],
    ['anywhere, if its pool has failed', thin, '0 131072 thin Fail\n', Infinity, Infinity],
    [
      'anywhere, if an external origin shows',
      { ...thin, '254:9': '0 131072 thin 254:5 7 254:8\n' },
      '0 131072 thin 0 -\n',
      Infinity,
      Infinity,
    ],
    ['anywhere on a plain disk', {}, undefined, Infinity, Infinity],
  ] as const;
  for (const [title, tables, status, dataEnd, mostData] of rows) {
    test(`F36: ${title}`, async () => {
      const readTable = async (number: string) => new Map(Object.entries(tables)).get(number);
      const found = await findWriteRules(device(true), readTable, async () => status);
      assert.deepEqual([found.dataEnd, found.mostData], [dataEnd, mostData]);
    });
  }
});

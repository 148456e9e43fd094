import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FileDevice } from '../../src/block-device.js';
import { findPunchRules } from '../../src/punch-rules.js';
import { scratchFolder } from '../helpers/scratch.js';

const POOL = '0 131072 thin-pool 254:3 254:4 384 0 0\n';
const ALIGNMENT = 512;

/** All that is asked of a device here. */
function device(blockDevice: boolean): FileDevice {
  const info = { blockDevice, major: 254, minor: 9, alignment: ALIGNMENT };
  return Object.assign(Object.create(FileDevice.prototype), { info });
}

describe('findPunchRules', () => {
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
    it(title, async () => {
      const found = await findPunchRules(device(true), async (number) => tables[number]);
      assert.deepEqual(found, { discard, granularity });
    });
  }

  it('a file: holes, and no table is asked for', async () => {
    const path = join(scratchFolder(), 'file');
    writeFileSync(path, 'x');
    const file = await FileDevice.open(path, { role: 'destination', write: true });
    try {
      const found = await findPunchRules(file, () => assert.fail('no device, no table'));
      assert.deepEqual(found, { discard: false, granularity: file.info.alignment });
    } finally {
      await file.close();
    }
  });
});

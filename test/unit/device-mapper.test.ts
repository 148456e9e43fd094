import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  formatDeviceName,
  parseDeviceName,
  parseDeviceUuid,
  parseInfo,
  parseStatus,
  parseTable,
} from '../../src/device-mapper.js';
import { LvmsyncError } from '../../src/errors.js';

const golden = (path: string) =>
  readFileSync(new URL(`../../../test/golden/${path}`, import.meta.url), 'utf8');

describe('device-mapper names', () => {
  const names = [
    ['vg0-my--data', { vgName: 'vg0', lvName: 'my-data', layer: undefined }],
    ['my--vg-da--ta----x-real', { vgName: 'my-vg', lvName: 'da-ta--x', layer: 'real' }],
    ['vg---lv', { vgName: 'vg-', lvName: 'lv', layer: undefined }],
    ['a+b.c_d-e', { vgName: 'a+b.c_d', lvName: 'e', layer: undefined }],
    ['v-snap--cow', { vgName: 'v', lvName: 'snap-cow', layer: undefined }],
    ['v-snap-cow', { vgName: 'v', lvName: 'snap', layer: 'cow' }],
    ['v-snap---cow', { vgName: 'v', lvName: 'snap-', layer: 'cow' }],
  ] as const;
  for (const [name, parts] of names) {
    it(`stand for the volume and back: ${name}`, () => {
      assert.deepEqual(parseDeviceName(name), parts);
      assert.equal(formatDeviceName(parts), name);
    });
  }

  for (const name of ['', 'vg', 'vg--lv', '-lv', 'vg-', 'a-b-c-d', 'a/b-c', 'v-l-']) {
    it(`are refused where LVM makes no such name: "${name}"`, () => {
      assert.equal(parseDeviceName(name), undefined);
    });
  }

  it('stand for any group, volume and layer without loss', () => {
    const part = fc.stringMatching(/^[a-z0-9+_.][a-z0-9+_.-]{0,10}$/);
    const layer = fc.option(fc.constantFrom('cow', 'real', 'tpool'), { nil: undefined });
    fc.assert(
      fc.property(part, part, layer, (vgName, lvName, inner) => {
        const volume = { vgName, lvName, layer: inner };
        assert.deepEqual(parseDeviceName(formatDeviceName(volume)), volume);
      }),
    );
  });
});

describe('parseDeviceUuid', () => {
  const vgUuid = 'xJnO980TnhkYGUQy53eG2ogytfv9QZeR';
  const lvUuid = 'dbZOJDerfUUf2kOBBqwJWyraxdpq74Cj';

  it('takes the uuids of group and volume out', () => {
    assert.deepEqual(parseDeviceUuid(`LVM-${vgUuid}${lvUuid}`), {
      vgUuid,
      lvUuid,
      layer: undefined,
    });
    assert.equal(parseDeviceUuid(`LVM-${vgUuid}${lvUuid}-cow`)?.layer, 'cow');
  });

  for (const uuid of ['', `CRYPT-LUKS2-${vgUuid}-x`, `LVM-${vgUuid}`, `LVM-${vgUuid}${lvUuid}x`]) {
    it(`knows what is not from LVM: "${uuid}"`, () => {
      assert.equal(parseDeviceUuid(uuid), undefined);
    });
  }
});

describe('parseTable', () => {
  it('reads the genuine table of a thick snapshot', () => {
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

  it('reads the genuine table of a thin pool', () => {
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

  it('reads the genuine table of a running merge', () => {
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

  it('reads an external origin, features of a snapshot, and a device asked for alone', () => {
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
    it(`refuses the line "${line}"`, () => {
      assert.throws(() => parseTable(`0 8 error \n${line}\n`), {
        code: 'sourceUnfit',
        message: `dmsetup: a line of unknown form (${line})`,
      });
    });
  }
});

describe('parseStatus', () => {
  it('reads the genuine status of a thick snapshot', () => {
    const targets = parseStatus(golden('thick-4k/dmsetup-status.txt'));
    assert.deepEqual(targets[3], {
      name: 'vg0-snap',
      start: 0,
      length: 32768,
      type: 'snapshot',
      usage: { allocatedSectors: 584, totalSectors: 16384, metadataSectors: 16 },
    });
    assert.deepEqual(targets[1]?.type, 'snapshot-origin');
  });

  it('reads the genuine status of a thin pool with a held root, and of its volumes', () => {
    const targets = parseStatus(golden('thin-64k/dmsetup-status.txt'));
    assert.deepEqual(
      targets.find(({ type }) => type === 'thin-pool'),
      {
        name: 'vg0-pool-tpool',
        start: 0,
        length: 131072,
        type: 'thin-pool',
        transactionId: 3,
        usedMetadataBlocks: 115,
        totalMetadataBlocks: 1024,
        usedDataBlocks: 229,
        totalDataBlocks: 1024,
        heldRoot: 118,
        mode: 'rw',
        discard: 'discard_passdown',
        noSpace: 'queue_if_no_space',
        needsCheck: false,
        lowWaterBlocks: 256,
      },
    );
    assert.deepEqual(targets[0], {
      name: 'vg0-my--data',
      start: 0,
      length: 65536,
      type: 'thin',
      mappedSectors: 25600,
      highestMappedSector: 65535,
    });
  });

  const faults = [
    ['snapshot Invalid', { type: 'snapshot', fault: 'Invalid' }],
    ['snapshot Merge failed', { type: 'snapshot', fault: 'Merge failed' }],
    ['snapshot Overflow', { type: 'snapshot', fault: 'Overflow' }],
    ['snapshot Unknown', { type: 'snapshot', fault: 'Unknown' }],
    ['snapshot-merge Invalid', { type: 'snapshot-merge', fault: 'Invalid' }],
    ['thin Fail', { type: 'thin', fault: 'Fail' }],
    ['thin Error', { type: 'thin', fault: 'Error' }],
    ['thin 0 -', { type: 'thin', mappedSectors: 0, highestMappedSector: undefined }],
    ['thin-pool Fail', { type: 'thin-pool', fault: 'Fail' }],
    ['thin-pool Error', { type: 'thin-pool', fault: 'Error' }],
    ['error ', { type: 'error' }],
    ['zero ', { type: 'other', target: 'zero' }],
  ] as const;
  for (const [text, target] of faults) {
    it(`reads "${text}"`, () => {
      assert.deepEqual(parseStatus(`0 8 ${text}\n`), [
        { name: undefined, start: 0, length: 8, ...target },
      ]);
    });
  }

  const pools = [
    ['ro discard_passdown error_if_no_space needs_check 1', 'ro', 'error_if_no_space', true, 1],
    [
      'out_of_data_space ignore_discard queue_if_no_space - 0',
      'out_of_data_space',
      'queue_if_no_space',
      false,
      0,
    ],
    ['rw no_discard_passdown queue_if_no_space', 'rw', 'queue_if_no_space', false, undefined],
  ] as const;
  for (const [text, mode, noSpace, needsCheck, lowWaterBlocks] of pools) {
    it(`reads a pool that is "${text}"`, () => {
      const [target] = parseStatus(`0 8 thin-pool 7 113/1024 0/1600 - ${text}`);
      assert.ok(target?.type === 'thin-pool' && 'mode' in target);
      assert.equal(target.heldRoot, undefined);
      assert.deepEqual(
        [target.mode, target.noSpace, target.needsCheck, target.lowWaterBlocks],
        [mode, noSpace, needsCheck, lowWaterBlocks],
      );
    });
  }

  const broken = [
    'snapshot 584 16',
    'snapshot 584/16384',
    'snapshot 584/16384/2 16',
    'snapshot merge failed',
    'snapshot ',
    'thin 5',
    'thin-pool 7 113/1024 0/1600',
    'thin-pool 7 113/1024 0/1600 x rw d queue_if_no_space - 1',
    'thin-pool 7 113/1024 0/1600 - wr d queue_if_no_space - 1',
    'thin-pool 7 113/1024 0/1600 - rw d sometimes - 1',
  ];
  for (const text of broken) {
    it(`refuses "${text}"`, () => {
      assert.throws(() => parseStatus(`0 8 ${text}`), /dmsetup: a line of unknown form/);
    });
  }

  it('either reads or refuses any text with its own error', () => {
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

describe('parseInfo', () => {
  it('reads genuine numbers and uuids, and a device without uuid', () => {
    const info = parseInfo(golden('lvm-states/thick-merging/dmsetup-info.txt'));
    assert.deepEqual([...info.keys()], ['slow', 'v-o', 'v-o-real', 'v-s', 'v-s-cow']);
    assert.deepEqual(info.get('slow'), { number: '254:0', uuid: '' });
    assert.match(info.get('v-s-cow')?.uuid ?? '', /^LVM-\w{64}-cow$/);
  });

  it('refuses a line without numbers', () => {
    assert.throws(() => parseInfo('No devices found\n'), /dmsetup: a line of unknown form/);
  });
});

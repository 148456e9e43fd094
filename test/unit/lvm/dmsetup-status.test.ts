import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseStatus } from '../../../src/lvm/dmsetup-status.js';

const golden = (path: string) =>
  readFileSync(new URL(`../../../../test/golden/${path}`, import.meta.url), 'utf8');

describe('parseStatus', () => {
  test('reads the genuine status of a thick snapshot', () => {
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

  test('reads the genuine status of a thin pool with a held root, and of its volumes', () => {
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
    test(`reads "${text}"`, () => {
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
    test(`reads a pool that is "${text}"`, () => {
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
    test(`refuses "${text}"`, () => {
      assert.throws(() => parseStatus(`0 8 ${text}`), /dmsetup: a line of unknown form/);
    });
  }
});

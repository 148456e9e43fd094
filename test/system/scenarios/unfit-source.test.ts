import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { assertFails, lvmsync } from '../../helpers/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  assertSameContent,
  fillRandom,
  saveContent,
  scattered,
  writeRandom,
} from '../harness/content.js';
import { KiB, type LogicalVolume, MiB, snapshotStatus, TestVolumeGroup } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

describe('a source that cannot serve is refused before the destination is touched', () => {
  const random = new Random();
  const chunkSize = 4 * KiB;
  const untouched = `${scratchFolder()}/copy`;
  let group: TestVolumeGroup;
  let origin: LogicalVolume;
  let copy: LogicalVolume;

  beforeEach(() => {
    group = new TestVolumeGroup({ size: 150 * MiB });
    origin = group.createVolume('data', 16 * MiB);
    copy = group.createVolume('copy', 16 * MiB);
    fillRandom(origin.path, random, origin.size);
    fillRandom(copy.path, random, copy.size);
    saveContent(copy.path, untouched);
  });
  afterEach(() => group.destroy());

  const refused = (source: string, status: number, message: RegExp): void => {
    assertFails(lvmsync([source, copy.path]), status, message);
    assertSameContent(copy.path, untouched);
  };
  const changedSnapshot = (): LogicalVolume => {
    const snapshot = group.createSnapshot(origin, { chunkSize });
    writeRandom(origin.path, random, scattered(random, origin.size, { count: 500, length: 4096 }));
    return snapshot;
  };

  test('a path that does not exist', () => {
    refused('/dev/vg0/no-such-volume', EXIT.usage, /\/dev\/vg0\/no-such-volume/);
  });

  test('a block device that is no logical volume', () => {
    refused(group.loopDevice, EXIT.usage, /not a(n LVM)? logical volume/i);
  });

  test('a logical volume that is no snapshot', () => {
    refused(origin.path, EXIT.sourceUnfit, /not a snapshot/i);
  });

  test('a snapshot that is not active', () => {
    const snapshot = changedSnapshot();
    // A thick snapshot is active with its origin, so both go.
    tool('lvchange', '-an', '-y', `${group.name}/${origin.lvName}`);
    refused(`${group.name}/${snapshot.lvName}`, EXIT.sourceUnfit, /not active|inactive/i);
  });

  test('a snapshot whose merge waits for the origin to be closed', () => {
    const snapshot = changedSnapshot();
    const holder = openSync(origin.path, 'r');
    try {
      tool('lvconvert', '-q', '--merge', `${group.name}/${snapshot.lvName}`);
      refused(snapshot.path, EXIT.sourceUnfit, /merg/i);
    } finally {
      closeSync(holder);
    }
  });

  test('a snapshot that is being merged', () => {
    const snapshot = changedSnapshot();
    // Left alone, LVM ends a merge as soon as it looks and finds all merged; here it looks late.
    const late = ['--background', '--interval', '+300'];
    tool('lvconvert', '-q', '--merge', ...late, `${group.name}/${snapshot.lvName}`);
    assert.match(tool('dmsetup', 'status', origin.dmName), /snapshot-merge/, 'the merge runs');
    refused(snapshot.path, EXIT.sourceUnfit, /merg/i);
  });

  test('a thin volume that is no snapshot of another', () => {
    tool('lvcreate', '-q', '-y', '-L', '32m', '-c', '64k', '-T', `${group.name}/pool`);
    tool('lvcreate', '-q', '-y', '-V', '16m', '-T', `${group.name}/pool`, '-n', 'thin');
    refused(group.volume('thin').path, EXIT.sourceUnfit, /snapshot/i);
  });

  test('a snapshot that only its store still claims to be valid', () => {
    const snapshot = group.createSnapshot(origin, { chunkSize, storeSize: 4 * MiB });
    writeRandom(origin.path, random, [{ offset: 0, length: 1500 * chunkSize }]);
    assert.match(snapshotStatus(snapshot), /^Invalid/);
    const store = openSync(`/dev/mapper/${snapshot.dmName}-cow`, 'r+');
    writeSync(store, Buffer.from([1, 0, 0, 0]), 0, 4, 4);
    closeSync(store);
    refused(snapshot.path, EXIT.sourceUnfit, /overflow|invalid/i);
  });
});

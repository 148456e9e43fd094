import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { assertFails, lvmsync } from '../../helpers/program/cli.js';
import { writeRandom } from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { type LogicalVolume, MiB, snapshotStatus } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

describe('a source that cannot serve is refused before the destination is touched', () => {
  const lab = withThickCopy({ copyHolds: 'other data', until: 'end of each' });

  const refused = (source: string, status: number, message: RegExp): void => {
    assertFails(lvmsync([source, lab.copy.path]), status, message);
    lab.assertUntouched();
  };
  const changedSnapshot = (): LogicalVolume => {
    const snapshot = lab.createSnapshot();
    lab.change(500);
    return snapshot;
  };

  test('a path that does not exist', () => {
    refused('/dev/vg0/no-such-volume', EXIT.usage, /\/dev\/vg0\/no-such-volume/);
  });

  test('a block device that is no logical volume', () => {
    refused(lab.group.loopDevice, EXIT.usage, /not a(n LVM)? logical volume/i);
  });

  test('a logical volume that is no snapshot', () => {
    refused(lab.origin.path, EXIT.sourceUnfit, /not a snapshot/i);
  });

  test('a snapshot that is not active', () => {
    const snapshot = changedSnapshot();
    // A thick snapshot is active with its origin, so both go.
    tool('lvchange', '-an', '-y', `${lab.group.name}/${lab.origin.lvName}`);
    refused(`${lab.group.name}/${snapshot.lvName}`, EXIT.sourceUnfit, /not active|inactive/i);
  });

  test('a snapshot whose merge waits for the origin to be closed', () => {
    const snapshot = changedSnapshot();
    const holder = openSync(lab.origin.path, 'r');
    try {
      tool('lvconvert', '-q', '--merge', `${lab.group.name}/${snapshot.lvName}`);
      refused(snapshot.path, EXIT.sourceUnfit, /merg/i);
    } finally {
      closeSync(holder);
    }
  });

  test('a snapshot that is being merged', () => {
    const snapshot = changedSnapshot();
    // Left alone, LVM ends a merge as soon as it looks and finds all merged; here it looks late.
    const late = ['--background', '--interval', '+300'];
    tool('lvconvert', '-q', '--merge', ...late, `${lab.group.name}/${snapshot.lvName}`);
    assert.match(tool('dmsetup', 'status', lab.origin.dmName), /snapshot-merge/, 'the merge runs');
    refused(snapshot.path, EXIT.sourceUnfit, /merg/i);
  });

  test('a thin volume that is no snapshot of another', () => {
    tool('lvcreate', '-q', '-y', '-L', '32m', '-c', '64k', '-T', `${lab.group.name}/pool`);
    tool('lvcreate', '-q', '-y', '-V', '16m', '-T', `${lab.group.name}/pool`, '-n', 'thin');
    refused(lab.group.volume('thin').path, EXIT.sourceUnfit, /snapshot/i);
  });

  test('a snapshot that only its store still claims to be valid', () => {
    const snapshot = lab.createSnapshot({ storeSize: 4 * MiB });
    writeRandom(lab.origin.path, lab.random, [{ offset: 0, length: 1500 * lab.chunkSize }]);
    assert.match(snapshotStatus(snapshot), /^Invalid/);
    const store = openSync(`/dev/mapper/${snapshot.dmName}-cow`, 'r+');
    writeSync(store, Buffer.from([1, 0, 0, 0]), 0, 4, 4);
    closeSync(store);
    refused(snapshot.path, EXIT.sourceUnfit, /overflow|invalid/i);
  });
});

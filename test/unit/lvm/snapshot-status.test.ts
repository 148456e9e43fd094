import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readSnapshotStatus } from '../../../src/lvm/snapshot-status.js';
import { recorded, refusal, runOn, uuidOf } from '../../helpers/lvm/lvm-host.js';

const thick = recorded('thick');

describe('readSnapshotStatus', () => {
  const snapshot = { vgName: 'my-vg', lvName: 'sn-ap', dmUuid: uuidOf(thick, 'my--vg-sn--ap') };

  test('tells how much of the COW store is used', async () => {
    assert.deepEqual(await readSnapshotStatus(snapshot, runOn(thick)), {
      allocatedSectors: 41136,
      totalSectors: 81920,
      metadataSectors: 176,
    });
  });

  const states = [
    ['snapshot Invalid', /snapshot overflowed, its change list is lost: a full copy is needed/],
    ['snapshot Overflow', /snapshot overflowed, its change list is lost: a full copy is needed/],
    ['snapshot Merge failed', /its merge into the origin failed/],
    ['snapshot Unknown', /a transient snapshot keeps no change list/],
    [
      'snapshot-merge 16/65536 16',
      /the kernel has "snapshot-merge" in its place, not a single snapshot/,
    ],
    ['error ', /the kernel has "error" in its place, not a single snapshot/],
  ] as const;
  for (const [status, message] of states) {
    test(`refuses "${status}" with exit code 10`, async () => {
      const host = { ...thick, status: `my--vg-sn--ap: 0 131072 ${status}\n` };
      const error = await refusal(readSnapshotStatus(snapshot, runOn(host)));
      assert.match(error.message, message);
      assert.ok(error.message.startsWith('my-vg/sn-ap: '));
      assert.equal(error.exitStatus, 10);
    });
  }

  test('says which commands replace one that overflowed', async () => {
    const host = { ...thick, status: 'my--vg-sn--ap: 0 131072 snapshot Invalid\n' };
    const ofOrigin = { ...snapshot, origin: { lvName: 'data' } };
    const { hint } = await refusal(readSnapshotStatus(ofOrigin, runOn(host)));
    assert.match(
      hint ?? '',
      /: lvremove my-vg\/sn-ap; lvcreate --snapshot --size LARGER --name sn-ap my-vg\/data; lvmsync verify --full --repair --data-source \/dev\/my-vg\/sn-ap my-vg\/sn-ap DESTINATION$/,
    );
  });

  test('refuses with exit code 10 when the device has gone', async () => {
    const error = await refusal(readSnapshotStatus(snapshot, runOn({ ...thick, status: '' })));
    assert.match(error.message, /^dmsetup: exit status 1/);
    assert.equal(error.exitStatus, 10);
  });
});

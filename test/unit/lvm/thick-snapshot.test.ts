import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findSnapshot } from '../../../src/lvm/find-volume.js';
import type { PathKind } from '../../../src/lvm/volume-name.js';
import { testFindRefusals } from '../../helpers/lvm/find-refusals.js';
import { deviceOf, lvsWith, missing, recorded, runOn, uuidOf } from '../../helpers/lvm/lvm-host.js';

const thick = recorded('thick');
const thin = recorded('thin');

function numberOf(name: string): string {
  const line = thick.info.split('\n').find((one) => one.startsWith(`${name} `)) ?? '';
  return line.split(' ').slice(1, 3).join(':');
}

describe('findSnapshot on a thick snapshot', () => {
  const wanted = {
    kind: 'thick',
    vgName: 'my-vg',
    lvName: 'sn-ap',
    dmUuid: uuidOf(thick, 'my--vg-sn--ap'),
    snapshotPath: '/dev/mapper/my--vg-sn--ap',
    cowPath: '/dev/mapper/my--vg-sn--ap-cow',
    chunkSize: 4096,
    snapshotNumber: numberOf('my--vg-sn--ap'),
    cowNumber: numberOf('my--vg-sn--ap-cow'),
    originSizeAtSnapshot: 64 * 1024 * 1024,
    createdAt: 1_795_407_490,
  };
  const subjects = ['my-vg/sn-ap', '/dev/my-vg/sn-ap', '/dev/mapper/my--vg-sn--ap'];

  for (const subject of subjects) {
    test(`describes it when its name is ${subject} and there is no such path`, async () => {
      const { uuid, origin, ...rest } = await findThick(subject, missing);
      assert.deepEqual(rest, wanted);
      assert.match(uuid, /^\w{6}(-\w{4}){5}-\w{6}$/);
      const { uuid: originUuid, deviceNumber, ...others } = origin;
      assert.equal(deviceNumber, numberOf('my--vg-da--ta----x'));
      assert.notEqual(originUuid, uuid);
      assert.deepEqual(others, {
        lvName: 'da-ta--x',
        size: 64 * 1024 * 1024,
        path: '/dev/mapper/my--vg-da--ta----x',
        createdAt: 1_795_407_490,
      });
    });
  }

  for (const subject of [
    '/dev/disk/by-id/dm-uuid-LVM-x',
    '/dev/dm-3',
    'link',
    '/dev/my-vg/sn-ap',
  ]) {
    test(`describes it when the path ${subject} leads to its device`, async () => {
      const found = await findThick(subject, deviceOf(thick, 'my--vg-sn--ap'));
      assert.deepEqual({ ...found, ...wanted }, found);
    });
  }

  test('reports both sizes of an origin that grew', async () => {
    const found = await findSnapshot('my-vg/sn-ap', runOn(recorded('thick-grown')), missing);
    assert.ok(found.kind === 'thick');
    assert.equal(found.origin.size, 80 * 1024 * 1024);
    assert.equal(found.originSizeAtSnapshot, 64 * 1024 * 1024);
  });

  test('finds a thick snapshot of a thin volume', async () => {
    const found = await findSnapshot('v/thick', runOn(thin), missing);
    assert.ok(found.kind === 'thick');
    assert.deepEqual([found.chunkSize, found.origin.lvName], [4096, 'data']);
  });

  async function findThick(subject: string, inspect: () => Promise<PathKind>) {
    const found = await findSnapshot(subject, runOn(thick), inspect);
    return found.kind === 'thick' ? found : assert.fail('a thin volume');
  }
});

describe('findSnapshot refuses a thick snapshot with exit code 10', () => {
  testFindRefusals([
    [
      'an overflowed snapshot',
      thick,
      'my-vg/snap2',
      /^my-vg\/snap2: snapshot overflowed, its change list is lost: a full copy is needed \(kernel: Invalid\)$/,
    ],
    [
      'a snapshot that is invalid to the kernel though LVM knows nothing of it',
      { ...thick, status: thick.status.replace(/41136\/81920 176/, 'Invalid') },
      'my-vg/sn-ap',
      /^my-vg\/sn-ap: snapshot overflowed, its change list is lost: a full copy is needed/,
    ],
    [
      'a snapshot that is invalid to LVM though the kernel says nothing of it',
      lvsWith(thick, 'sn-ap', { lv_snapshot_invalid: '1' }),
      'my-vg/sn-ap',
      /^my-vg\/sn-ap: snapshot overflowed, its change list is lost: a full copy is needed/,
    ],
    [
      'a device of more than one target',
      { ...thick, table: thick.table.replace(/^(my--vg-sn--ap: .*\n)/m, '$1$1') },
      'my-vg/sn-ap',
      /^my-vg\/sn-ap: the kernel has "snapshot, snapshot" in its place, not a single snapshot$/,
    ],
    [
      'a snapshot whose store overflowed by writes to the snapshot',
      { ...thick, status: thick.status.replace(/41136\/81920 176/, 'Overflow') },
      'my-vg/sn-ap',
      /snapshot overflowed, its change list is lost: a full copy is needed \(kernel: Overflow\)$/,
    ],
    [
      'an inactive snapshot, with the command that activates it',
      recorded('thick-inactive'),
      'my-vg/sn-ap',
      /^my-vg\/sn-ap: not active here$/,
      /^Activate it: lvchange -ay -K my-vg\/da-ta--x$/,
    ],
    [
      'a snapshot whose merge is scheduled',
      recorded('thick-merge-scheduled'),
      'my-vg/sn-ap',
      /^my-vg\/sn-ap: its merge into my-vg\/da-ta--x is scheduled$/,
      /removes this snapshot\. .* "lvchange -ay my-vg\/da-ta--x", .* Then make a new snapshot/,
    ],
    [
      'a snapshot that is being merged',
      recorded('thick-merging'),
      'v/s',
      /^v\/s: being merged into v\/o$/,
      /removes this snapshot\. Wait until "lvs -a v" .* Then make a new snapshot/,
    ],
    [
      'a snapshot whose merge failed',
      lvsWith(thick, 'sn-ap', { lv_merge_failed: '1', lv_merging: '1' }),
      'my-vg/sn-ap',
      /^my-vg\/sn-ap: its merge into the origin failed/,
      /repair that first\.$/,
    ],
    [
      'F1: a snapshot whose sibling is merged, or will be',
      lvsWith(thick, 'snap2', { lv_merging: '1' }),
      'my-vg/sn-ap',
      /^my-vg\/sn-ap: a merge of my-vg\/snap2 into my-vg\/da-ta--x is scheduled or running$/,
      /when my-vg\/da-ta--x is next activated: unmount .* or restart this host\. .* Then try again\.$/,
    ],
    [
      'F1: a snapshot whose sibling was merged in part',
      lvsWith(thick, 'snap2', { lv_merge_failed: '1' }),
      'my-vg/sn-ap',
      /^my-vg\/sn-ap: a merge of my-vg\/snap2 into my-vg\/da-ta--x failed$/,
      /^The origin is half merged: .*repair that first\.$/,
    ],
    [
      'a merge that only the kernel knows of',
      lvsWith(recorded('thick-merging'), '[s]', { lv_merging: '0' }),
      'v/s',
      /^v\/s: the kernel has "error" in its place, not a single snapshot$/,
    ],
    [
      'a transient store',
      { ...thick, table: thick.table.replace(' P 8', ' N 8') },
      'my-vg/sn-ap',
      /^my-vg\/sn-ap: a transient snapshot keeps no change list on disk$/,
    ],
    [
      'a status that only a transient store has',
      { ...thick, status: thick.status.replace(/41136\/81920 176/, 'Unknown') },
      'my-vg/sn-ap',
      /a transient snapshot keeps no change list on disk$/,
    ],
    ['a sparse volume', thin, 'v/sparse', /^v\/sparse: a sparse volume/],
    [
      'a snapshot without its origin in the report',
      lvsWith(thick, 'sn-ap', { origin_uuid: 'another' }),
      'my-vg/sn-ap',
      /^my-vg\/sn-ap: its origin is not in the volume group$/,
    ],
  ]);
});

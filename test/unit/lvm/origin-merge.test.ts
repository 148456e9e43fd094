import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourceMember } from '../../../src/device/relation.js';
import { refuseRunningMerge } from '../../../src/lvm/origin-merge.js';

const MEMBERS: readonly SourceMember[] = [
  { identity: { kind: 'block', device: '0:1' }, role: 'the origin' },
  { identity: { kind: 'block', device: '0:2' }, role: 'the snapshot' },
  { identity: { kind: 'block', device: '0:1' }, role: 'the data source' },
  { identity: { kind: 'file', device: '0:3', inode: '7' }, role: 'the COW store' },
];

/** What the kernel says of the devices, and which of them were asked for. */
function tables(of: Readonly<Record<string, string>>) {
  const asked: string[] = [];
  const readTable = async (device: string): Promise<string | undefined> => {
    asked.push(device);
    return of[device];
  };
  return { asked, readTable };
}

test('F1: a merge that the kernel runs into a device of the source is named', async () => {
  const { readTable } = tables({ '0:1': '0 8192 snapshot-merge 0:4 0:5 P 8\n' });
  await assert.rejects(refuseRunningMerge(MEMBERS, readTable), {
    exitStatus: 10,
    message: 'device 0:1: a merge of device 0:5 into it is running',
  });
});

test('F1: each device is asked for once, and no file', async () => {
  const { asked, readTable } = tables({ '0:1': '0 8192 snapshot-origin 0:4\n' });
  await refuseRunningMerge(MEMBERS, readTable);
  assert.deepEqual(asked, ['0:1', '0:2']);
});

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { refuseWritable } from '../../../src/source/read-only.js';
import { scratchFolder } from '../../helpers/scratch.js';

const root = scratchFolder();
for (const [device, line] of [
  ['253:1', '1\n'],
  ['253:2', '0\n'],
] as const) {
  const folder = join(root, 'sys/dev/block', device);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'ro'), line);
}

const volume = (writable: boolean, deviceNumber?: string) => ({
  ...{ vgName: 'vg', lvName: 'snap', writable, deviceNumber },
});

describe('volumes that must not have changed', () => {
  const cases: readonly [string, ReturnType<typeof volume>, boolean][] = [
    ['one that LVM and the kernel call read-only', volume(false, '253:1'), true],
    ['one that is read-only and not active', volume(false), true],
    ['one that can be written', volume(true, '253:2'), false],
    ['one that can be written when it is active', volume(true), false],
    ['one that is read-only for LVM, but not for the kernel', volume(false, '253:2'), false],
    ['one that is read-only on this host only', volume(true, '253:1'), false],
    ['one of which the kernel says nothing', volume(false, '253:9'), false],
  ];
  for (const [title, one, isTaken] of cases) {
    test(`${isTaken ? 'may be' : 'may not be'} ${title}`, () => {
      const good = volume(false, '253:1');
      for (const pair of [
        [good, one],
        [one, good],
      ]) {
        if (isTaken) refuseWritable(pair, root);
        else
          assert.throws(() => refuseWritable(pair, root), {
            code: 'sourceUnfit',
            message: /^vg\/snap: not read-only, /,
            hint: /lvchange -pr vg\/snap$/,
          });
      }
    });
  }
});

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { volumesInKernel } from '../../../src/lvm/kernel-volumes.js';
import { scratchFolder } from '../../helpers/scratch.js';

test("the kernel's volumes are the devices whose uuid LVM made", () => {
  const folder = scratchFolder();
  const device = (name: string, dm?: readonly [name: string, uuid: string]): void => {
    mkdirSync(join(folder, name, 'dm'), { recursive: true });
    if (dm === undefined) return;
    writeFileSync(join(folder, name, 'dm/name'), `${dm[0]}\n`);
    writeFileSync(join(folder, name, 'dm/uuid'), `${dm[1]}\n`);
  };
  device('sda');
  device('dm-0', ['vg0-my--mail-cow', `LVM-${'a'.repeat(64)}-cow`]);
  device('dm-1', ['vg0-fake', 'CRYPT-x']);
  assert.deepEqual(volumesInKernel(folder), [{ vgName: 'vg0', lvName: 'my-mail', layer: 'cow' }]);
  assert.deepEqual(volumesInKernel(join(folder, 'none')), []);
});

/** What block devices are known by, in made-up sysfs folders with the files that kernels show. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { diskIdentity, isNewerKind } from '../../../src/device/disk-identity.js';
import { gptDisk, partitionedDisk } from '../../helpers/devices/partition-tables.js';
import { scratchFolder } from '../../helpers/scratch.js';

const scratch = scratchFolder();
let count = 0;

/** `files` below the folder of the device in sysfs, or, beginning with `/`, below the root. */
function identityWith(
  files: Readonly<Record<string, string | Buffer>>,
  place = 'block/sda',
): string {
  const root = join(scratch, `${count++}`);
  const folder = join(root, 'sys/devices', place);
  mkdirSync(folder, { recursive: true });
  mkdirSync(join(root, 'sys/dev/block'), { recursive: true });
  symlinkSync(folder, join(root, 'sys/dev/block/8:1'));
  for (const [name, content] of Object.entries(files)) {
    const path = name.startsWith('/') ? join(root, name) : join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return diskIdentity('8:1', root) ?? 'none';
}

const PART = { partition: '2\n', start: '2048\n' };
const GUID = '01234567-89ab-cdef-0123-456789abcdef';

const known: [string, Record<string, string | Buffer>, string, string?][] = [
  ['a logical volume', { 'dm/uuid': 'LVM-abc\n' }, 'LVM-abc'],
  ['a SCSI disk', { 'device/wwid': 'naa.5000c500a1b2c3d4\n' }, 'wwid:naa.5000c500a1b2c3d4'],
  [
    'an ATA disk',
    { 'device/wwid': 't10.ATA     WDC WD40  WD-WX1\n' },
    'wwid:t10.ATA     WDC WD40  WD-WX1',
  ],
  [
    'an NVMe namespace',
    { wwid: 'eui.0025385b71b0a1f4\n', 'device/serial': 'S4\n' },
    'wwid:eui.0025385b71b0a1f4',
  ],
  ['a virtio disk', { serial: 'backup-1\n' }, 'serial:backup-1'],
  ['an SD card', { 'device/cid': '03534453\n' }, 'cid:03534453'],
  ['a software RAID', { 'md/uuid': 'a-b-c\n' }, 'md:a-b-c'],
  ['a network block device', { backend: 'host/export\n' }, 'nbd:host/export'],
  [
    'a loop device',
    { 'loop/backing_file': '/srv/a.img\n', 'loop/offset': '0\n' },
    'file:/srv/a.img',
  ],
  [
    'a loop device of a part',
    { 'loop/backing_file': '/srv/a.img\n', 'loop/offset': '512\n' },
    'file:/srv/a.img@512',
  ],
  [
    'a partition that the kernel names',
    { ...PART, uevent: `PARTN=2\nPARTUUID=${GUID}\n` },
    `partition:${GUID}`,
    'block/sda/sda2',
  ],
  [
    'a partition of a disk with a serial number',
    { ...PART, '../serial': 'x1\n' },
    'partition:sector 2048 of serial:x1',
    'block/vda/vda2',
  ],
  [
    'a partition of both',
    { ...PART, '../serial': 'x1\n', uevent: `PARTUUID=${GUID}\n` },
    `partition:${GUID} of serial:x1`,
    'block/vda/vda2',
  ],
];

for (const [what, files, expected, place] of known) {
  test(`${what} is known as ${expected}`, () => {
    assert.equal(identityWith(files, place), expected);
    assert.equal(isNewerKind(expected), !expected.startsWith('LVM-'));
  });
}

test('F33: a partition is looked up in the table of its disk', () => {
  const files = { ...PART, '../dev': '8:0\n' };
  const partitions = [
    { guid: 'ffffffff-ffff-ffff-ffff-ffffffffffff', startBlock: 64 },
    { guid: GUID, startBlock: 2048 },
  ];
  const look = (disk: Buffer, start = '2048\n'): string =>
    identityWith({ ...files, start, '/dev/sda': disk }, 'block/sda/sda2');
  assert.equal(look(gptDisk(partitions)), `partition:${GUID}`);
  const large = partitions.map(({ guid, startBlock }) => ({ guid, startBlock: startBlock / 8 }));
  assert.equal(look(gptDisk(large, 4096)), `partition:${GUID}`);
  assert.equal(look(gptDisk(partitions), '4096\n'), 'none', 'an entry of another place');
  const withMbr = partitionedDisk({ signature: 0xabc, size: 512 });
  assert.equal(look(withMbr), 'partition:00000abc-02 sector 2048', 'numbers are given out again');
  assert.equal(look(partitionedDisk({ signature: 0, size: 512 })), 'none');
  assert.equal(look(Buffer.alloc(100)), 'none');
  assert.equal(look(Buffer.alloc(64 * 512)), 'none');
});

test('F33: a stick is known by its maker, serial number and unit', () => {
  const place = 'usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sda';
  const files = {
    '/sys/devices/usb2/2-1/idVendor': '0951\n',
    '/sys/devices/usb2/2-1/idProduct': '1666\n',
    '/sys/devices/usb2/2-1/serial': '60A44C3FAC22\n',
  };
  assert.equal(identityWith(files, place), 'usb:0951:1666:60A44C3FAC22:');
  const blank = { ...files, '/sys/devices/usb2/2-1/serial': '0000000000\n' };
  assert.equal(identityWith(blank, place), 'none');
});

const blanks: [string, string][] = [
  ['0000000000000000', 'zeros'],
  ['eui.0000000000000000', 'a name of zeros'],
  ['t10.ATA Generic   123456789ABCDEF', 'counting'],
  ['', 'nothing'],
];

for (const [value, what] of blanks) {
  test(`${what} in the place of a serial number is none`, () => {
    assert.equal(identityWith({ 'device/wwid': `${value}\n` }), 'none');
  });
}

test('what is very long is known by its hash', () => {
  const path = `/${'long/'.repeat(300)}`;
  const one = identityWith({ 'loop/backing_file': `${path}a\n` });
  assert.match(one, /^sha256:[0-9a-f]{64}$/);
  assert.notEqual(identityWith({ 'loop/backing_file': `${path}b\n` }), one);
});

test('a device that sysfs does not show is known as nothing', () => {
  assert.equal(diskIdentity('8:1', scratch), undefined);
});

test('disks of this machine are looked at without a failure', () => {
  const names = execFileSync('ls', ['/sys/dev/block'], { encoding: 'utf8' }).split('\n');
  for (const name of names.filter((one) => one !== '')) {
    assert.match(diskIdentity(name) ?? 'none', /./);
  }
});

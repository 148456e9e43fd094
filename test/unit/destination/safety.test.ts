import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import {
  type InspectEffects,
  type InspectedSource,
  type InspectedTarget,
  inspectDestination,
  requireFit,
  type Severity,
} from '../../../src/destination/safety.js';
import { headKind } from '../../../src/device/head-kind.js';
import type { DeviceIdentity } from '../../../src/device/topology.js';
import { FakeMachine } from '../../helpers/devices/fake-machine.js';

const VG = 'LVM-A8z0SXL2P67trjze81n6bEHn06QIhfXW';
const machines: FakeMachine[] = [];
after(() => {
  for (const machine of machines) machine.remove();
});

function emptyMachine(): FakeMachine {
  const machine = new FakeMachine();
  machines.push(machine);
  return machine;
}

/** A disk and its partitions, which are numbered from 1 on. */
function addDisk(machine: FakeMachine, major: number, name: string, partitions: number): void {
  machine.add({ device: `${major}:0`, kernelName: name });
  for (let number = 1; number <= partitions; number++) {
    const device = `${major}:${number}`;
    machine.add({ device, kernelName: `${name}${number}`, partitionOf: name });
  }
}

const block = (device: string): DeviceIdentity => ({ kind: 'block', device });
const file = (inode: string): DeviceIdentity => ({ kind: 'file', device: '0:20', inode });

/**
 * What a real kernel showed for: a loop device over /mnt/pv as the physical volume of vg0, a thick
 * origin with two snapshots, another thick volume, and a thin pool with two volumes.
 */
function groupOnLoop(): FakeMachine {
  const machine = emptyMachine();
  const lv = (minor: number, name: string, suffix: string, ...slaves: string[]) =>
    machine.add({
      device: `254:${minor}`,
      kernelName: `dm-${minor}`,
      dmName: `vg0-${name}`,
      dmUuid: `${VG}${name.replace(suffix, '').padEnd(32, 'x')}${suffix}`,
      slaves,
    });
  machine.node('/mnt/pv', file('5'));
  machine.add({ device: '7:0', kernelName: 'loop0', loopBacking: '/mnt/pv' });
  lv(1, 'data-real', '-real', 'loop0');
  lv(0, 'data', '', 'dm-1');
  lv(2, 'snap-cow', '-cow', 'loop0');
  lv(3, 'snap', '', 'dm-1', 'dm-2');
  lv(4, 'snap2-cow', '-cow', 'loop0');
  lv(5, 'snap2', '', 'dm-1', 'dm-4');
  lv(6, 'other', '', 'loop0');
  lv(7, 'pool_tmeta', '-tmeta', 'loop0');
  lv(8, 'pool_tdata', '-tdata', 'loop0');
  lv(9, 'pool-tpool', '-tpool', 'dm-7', 'dm-8');
  lv(10, 'thin', '', 'dm-9');
  lv(11, 'thin2', '', 'dm-9');
  return machine;
}

const thickSource: InspectedSource = {
  members: [
    { identity: block('254:0'), role: 'the origin' },
    { identity: block('254:3'), role: 'the snapshot' },
    { identity: block('254:2'), role: 'the COW store of the snapshot' },
  ],
};
const thinSource: InspectedSource = {
  members: [{ identity: block('254:10'), role: 'the origin' }],
};
const noSource: InspectedSource = { members: [] };

interface Case {
  readonly machine?: FakeMachine;
  readonly target: DeviceIdentity;
  readonly source?: InspectedSource;
  readonly readOnly?: boolean;
  readonly head?: Uint8Array;
  readonly dmTable?: InspectEffects['dmTable'];
}

async function inspect(given: Case): Promise<string[]> {
  const target: InspectedTarget = {
    path: 'DEST',
    identity: given.target,
    readOnly: given.readOnly ?? false,
    readHeadKind: async () => headKind(given.head ?? new Uint8Array(2048)),
  };
  const effects = { ...(given.machine ?? groupOnLoop()).effects };
  const findings = await inspectDestination(
    target,
    given.source ?? noSource,
    given.dmTable === undefined ? effects : { ...effects, dmTable: given.dmTable },
  );
  return findings.map(({ severity, message }) => `${severity}: ${message}`);
}

const inUse = (...names: string[]) => `refused: DEST is in use by ${names.join(', ')}`;
const heldPhysicalVolume = inUse(
  'vg0-data-real',
  'vg0-snap-cow',
  'vg0-snap2-cow',
  'vg0-other and 2 more',
);

const relations: [string, string, InspectedSource, string[]][] = [
  ['another volume of the group', '254:6', thickSource, []],
  ['a thin volume in the same group', '254:10', thickSource, []],
  ['another thin volume of the pool', '254:11', thinSource, []],
  ['a thick volume beside the thin pool', '254:6', thinSource, []],
  ['a thick snapshot of something else', '254:5', thinSource, []],
  [
    'the origin',
    '254:0',
    thickSource,
    [
      'never: DEST is the origin, which this run reads',
      'note: DEST has snapshots that this run fills up: vg0-snap, vg0-snap2',
    ],
  ],
  ['the snapshot', '254:3', thickSource, ['never: DEST is the snapshot, which this run reads']],
  [
    'the COW store',
    '254:2',
    thickSource,
    ['never: DEST is the COW store of the snapshot, which this run reads', inUse('vg0-snap')],
  ],
  [
    "the origin's inner layer",
    '254:1',
    thickSource,
    ['never: DEST carries the data of the origin', inUse('vg0-data', 'vg0-snap', 'vg0-snap2')],
  ],
  [
    'another snapshot of the origin',
    '254:5',
    thickSource,
    ['refused: DEST is another snapshot of the same origin, or built on one'],
  ],
  [
    'the physical volume of a thick source',
    '7:0',
    thickSource,
    ['never: DEST carries the data of the origin', heldPhysicalVolume],
  ],
  [
    'the physical volume of a thin source',
    '7:0',
    thinSource,
    ['never: DEST carries the data of the origin', heldPhysicalVolume],
  ],
  [
    "a thin pool's data",
    '254:8',
    thinSource,
    ['never: DEST carries the data of the origin', inUse('vg0-pool-tpool')],
  ],
];

for (const [what, device, source, expected] of relations) {
  const verdict = expected.length === 0 ? 'may be written' : expected[0]!.split(':')[0]!;
  test(`${what}: ${verdict}`, async () => {
    assert.deepEqual(await inspect({ target: block(device), source }), expected);
  });
}

test('another snapshot of the origin stays a sibling where the caller names the inner layer', async () => {
  const members = [...thickSource.members, { identity: block('254:1'), role: 'the inner layer' }];
  assert.deepEqual(await inspect({ target: block('254:5'), source: { members } }), [
    'refused: DEST is another snapshot of the same origin, or built on one',
  ]);
});

test('the file under the loop device under the physical volume is never written', async () => {
  assert.deepEqual(await inspect({ target: file('5'), source: thickSource }), [
    'never: DEST carries the data of the origin',
    inUse('loop0'),
  ]);
});

test('a partition inside the origin, or a loop device over it, is never written', async () => {
  const machine = groupOnLoop();
  machine.add({ device: '254:20', kernelName: 'dm-20', dmName: 'vg0-data1', slaves: ['dm-0'] });
  machine.node('/dev/mapper/vg0-data', block('254:0'));
  machine.add({ device: '7:1', kernelName: 'loop1', loopBacking: '/dev/mapper/vg0-data' });
  for (const device of ['254:20', '7:1']) {
    assert.deepEqual(await inspect({ machine, target: block(device), source: thickSource }), [
      'never: DEST is built on the origin: writing it changes what this run reads',
    ]);
  }
});

test('of a partitioned disk, the whole disk carries the source and the other partition does not', async () => {
  const machine = emptyMachine();
  addDisk(machine, 8, 'sda', 2);
  machine.add({ device: '254:0', kernelName: 'dm-0', dmName: 'vg-lv', slaves: ['sda1'] });
  const source = { members: [{ identity: block('254:0'), role: 'the origin' }] };
  assert.deepEqual(await inspect({ machine, target: block('8:2'), source }), []);
  assert.deepEqual(await inspect({ machine, target: block('8:0'), source }), [
    'never: DEST carries the data of the origin',
    inUse('vg-lv'),
  ]);
});

test('a file source is told apart from its neighbours by inode, and its file system is protected', async () => {
  const machine = groupOnLoop();
  const source = {
    members: [
      {
        identity: { kind: 'file', device: '254:6', inode: '12' } as const,
        role: 'the data source',
      },
    ],
  };
  const inode = (number: string) => ({ kind: 'file', device: '254:6', inode: number }) as const;
  assert.deepEqual(await inspect({ machine, target: inode('12'), source }), [
    'never: DEST is the data source, which this run reads',
  ]);
  assert.deepEqual(await inspect({ machine, target: inode('13'), source }), []);
  assert.deepEqual(await inspect({ machine, target: block('254:6'), source }), [
    'never: DEST carries the data of the data source',
  ]);
});

test('a file, or a loop device over one, in a file system on the origin is only warned of', async () => {
  const machine = groupOnLoop();
  const image = { kind: 'file', device: '254:0', inode: '12' } as const;
  machine.node('/srv/image', image);
  const warning =
    'warning: DEST lies in a file system on the origin: writing it changes what this run reads';
  assert.deepEqual(await inspect({ machine, target: image, source: thickSource }), [warning]);
  machine.add({ device: '7:1', kernelName: 'loop1', loopBacking: '/srv/image' });
  assert.deepEqual(await inspect({ machine, target: block('7:1'), source: thickSource }), [
    warning,
  ]);
});

const mounts: [string, string, string, string[]][] = [
  [
    'a mounted volume',
    '23 22 254:6 / /mnt/o rw,relatime shared:7 - ext4 /dev/mapper/vg0-other rw',
    '254:6',
    ['refused: DEST is mounted at /mnt/o'],
  ],
  [
    'a mount point with blanks',
    '23 22 254:6 / /mnt/a\\040b rw - ext4 /dev/mapper/vg0-other rw',
    '254:6',
    ['refused: DEST is mounted at /mnt/a b'],
  ],
  [
    'btrfs, whose device number is anonymous',
    '23 22 0:45 / /mnt/o rw shared:7 master:2 - btrfs /dev/dm-6 rw',
    '254:6',
    ['refused: DEST is mounted at /mnt/o'],
  ],
  [
    'a device on which a mounted volume lies',
    '23 22 254:6 / /mnt/o rw - ext4 /dev/mapper/vg0-other rw',
    '7:0',
    ['refused: DEST is in use through vg0-other, which is mounted at /mnt/o', heldPhysicalVolume],
  ],
  ['a mount of something else', '23 22 254:60 / /mnt/o rw - ext4 /dev/x rw', '254:6', []],
];

for (const [what, line, device, expected] of mounts) {
  test(`mounts: ${what} is ${expected.length > 0 ? 'refused' : 'allowed'}`, async () => {
    const machine = groupOnLoop();
    machine.mount(line);
    assert.deepEqual(await inspect({ machine, target: block(device) }), expected);
  });
}

test('a disk with a mounted partition, and a partition of a mounted disk, are refused', async () => {
  const machine = emptyMachine();
  addDisk(machine, 8, 'sda', 1);
  addDisk(machine, 9, 'sdb', 1);
  machine.mount('23 22 8:1 / /part rw - ext4 /dev/sda1 rw');
  machine.mount('24 22 9:0 / /disk rw - ext4 /dev/sdb rw');
  assert.deepEqual(await inspect({ machine, target: block('8:0') }), [
    'refused: DEST is in use through sda1, which is mounted at /part',
  ]);
  assert.deepEqual(await inspect({ machine, target: block('9:1') }), [
    'refused: DEST is in use through sdb, which is mounted at /disk',
  ]);
});

test('a disk one of whose partitions is held is in use, one with idle partitions is not', async () => {
  const machine = emptyMachine();
  addDisk(machine, 8, 'sda', 1);
  assert.deepEqual(await inspect({ machine, target: block('8:0') }), []);
  machine.add({ device: '9:0', kernelName: 'md0', slaves: ['sda1'] });
  assert.deepEqual(await inspect({ machine, target: block('8:0') }), [inUse('md0')]);
});

test('a file behind a mounted loop device is refused', async () => {
  const machine = groupOnLoop();
  machine.node('/srv/image', file('77'));
  machine.add({ device: '7:1', kernelName: 'loop1', loopBacking: '/srv/image' });
  machine.mount('23 22 7:1 / /mnt/i rw - ext4 /dev/loop1 rw');
  assert.deepEqual(await inspect({ machine, target: file('77') }), [
    'refused: DEST is in use through loop1, which is mounted at /mnt/i',
    inUse('loop1'),
  ]);
});

test('active swap is refused: a device, a file, and what a swap device lies on', async () => {
  const machine = groupOnLoop();
  machine.node('/mnt/swap file', file('88'));
  machine.swap('/dev/dm-6                              partition\t102396\t\t0\t\t-3');
  machine.swap('/mnt/swap\\040file                      file\t\t8180\t\t0\t\t-2');
  assert.deepEqual(await inspect({ machine, target: block('254:6') }), [
    'refused: DEST is active swap space',
  ]);
  assert.deepEqual(await inspect({ machine, target: file('88') }), [
    'refused: DEST is active swap space',
  ]);
  assert.deepEqual(await inspect({ machine, target: block('7:0') }), [
    'refused: DEST is in use through vg0-other, which is active swap space',
    heldPhysicalVolume,
  ]);
});

const UUID = 'uZO0dOefYtsSPhr646erbsjQsGbKKF0r';
const PRINTED = 'uZO0dO-efYt-sSPh-r646-erbs-jQsG-bKKF0r';

/** The first bytes that pvcreate writes, the label in the given sector. */
function labelled(sector: number, uuid = UUID): Uint8Array {
  const head = Buffer.alloc(2048);
  head.write('LABELONE', sector * 512);
  head.writeBigUInt64LE(BigInt(sector), sector * 512 + 8);
  head.writeUInt32LE(0x20, sector * 512 + 20);
  head.write(`LVM2 001${uuid}`, sector * 512 + 24, 'latin1');
  return head;
}

for (const sector of [0, 1, 2, 3]) {
  test(`a physical volume is known by a label in sector ${sector}`, async () => {
    assert.deepEqual(await inspect({ target: block('254:6'), head: labelled(sector) }), [
      `refused: DEST is labelled as an LVM physical volume (${PRINTED})`,
    ]);
  });
}

test("a label that is the data source's own does not make its copy a physical volume", async () => {
  const given = { target: block('254:6'), head: labelled(1) };
  const copy = { ...noSource, headKinds: [`lvm2-pv ${PRINTED}`] };
  assert.deepEqual(await inspect({ ...given, source: copy }), []);
  const another = { ...noSource, headKinds: [`lvm2-pv ${PRINTED.replace('uZ', 'aa')}`] };
  assert.equal((await inspect({ ...given, source: another })).length, 1);
});

test('F14: where nothing is known of the source, a label is a warning', async () => {
  const given = { target: block('254:6'), head: labelled(1) };
  const source = { ...noSource, headKinds: 'unknown' } as const;
  assert.deepEqual(await inspect({ ...given, source }), [
    `warning: DEST is labelled as an LVM physical volume (${PRINTED}): this is right only if the source holds the same`,
  ]);
});

for (const [name, at, magic] of [
  ['qcow2', 0, 'QFI\xfb'],
  ['QED', 0, 'QED\0'],
  ['VMDK', 0, 'KDMV'],
  ['VMDK', 0, '# Disk DescriptorFile\n'],
  ['VHDX', 0, 'vhdxfile'],
  ['VHD', 0, 'conectix'],
  ['VDI', 64, '\x7f\x10\xda\xbe'],
] as const) {
  test(`F18: a ${name} image is not raw, unless the source begins alike (${JSON.stringify(magic)})`, async () => {
    const head = Buffer.alloc(4096);
    head.write(magic, at, 'latin1');
    const given = { target: block('254:6'), head };
    assert.deepEqual(await inspect(given), [
      `refused: DEST is a ${name} image, which raw data would destroy`,
    ]);
    assert.deepEqual(await inspect({ ...given, source: { ...noSource, headKinds: [name] } }), []);
  });
}

test('a label with unprintable bytes is shown as hex, a head cut in the label is none', async () => {
  const damaged = labelled(1, `\x1b[2J${UUID.slice(4)}`);
  const [finding] = await inspect({ target: block('254:6'), head: damaged });
  assert.match(finding!, /\(1b5b324a[0-9a-f]{56}\)$/);
  const cut = labelled(1).subarray(0, 700);
  assert.deepEqual(await inspect({ target: block('254:6'), head: cut }), []);
});

test('a read-only device is never written', async () => {
  assert.deepEqual(await inspect({ target: block('254:6'), readOnly: true }), [
    'never: DEST is read-only (lvchange -prw, blockdev --setrw)',
  ]);
});

test('a running merge is refused, an origin without one only carries a note', async () => {
  const tables: Record<string, string> = {
    '254:0': '0 131072 snapshot-merge 254:1 254:2 P 8\n',
    '254:6': '0 131072 linear 7:0 264192\n',
  };
  const dmTable = async (device: string) => tables[device];
  const note = 'note: DEST has snapshots that this run fills up: vg0-snap, vg0-snap2';
  assert.deepEqual(await inspect({ target: block('254:0'), dmTable }), [
    'refused: DEST is being merged with a snapshot, which still changes it',
    note,
  ]);
  assert.deepEqual(await inspect({ target: block('254:6'), dmTable }), []);
  assert.deepEqual(await inspect({ target: block('254:0') }), [note]);
});

test('another process that has the destination open for writing is named, readers are not', async () => {
  const machine = groupOnLoop();
  machine.node('/dev/vg0/other', block('254:6'));
  machine.addProcess({
    pid: 4000000,
    name: 'qemu-system-x86',
    descriptors: [
      { link: 'socket:[99]', flags: '02' },
      { link: '/dev/vg0/other', flags: '02100002' },
    ],
  });
  machine.addProcess({
    pid: 4000001,
    name: 'dd',
    descriptors: [
      { link: '/dev/dm-6', flags: '0100000' },
      { link: '/dev/dm-0', flags: '0100001' },
    ],
  });
  machine.addProcess({
    pid: process.pid,
    name: 'node',
    descriptors: [{ link: '/dev/dm-6', flags: '0100002' }],
  });
  machine.addProcess({ pid: 4000002, name: 'gone', descriptors: [] });
  assert.deepEqual(await inspect({ machine, target: block('254:6') }), [
    'warning: DEST is open for writing in process 4000000 (qemu-system-x86)',
  ]);
});

test('a process that has it for a moment only, as a child has before it becomes a program, is not', async () => {
  const machine = groupOnLoop();
  machine.node('/dev/vg0/other', block('254:6'));
  const descriptors = [{ link: '/dev/vg0/other', flags: '02100002' }];
  const remove = machine.addProcess({ pid: 4000000, name: 'dmsetup', descriptors });
  const found = inspect({ machine, target: block('254:6') });
  setTimeout(remove, 50);
  assert.deepEqual(await found, []);
});

const fault = { code: 'destinationUnfit', exitStatus: 12 };

test('what is refused can be forced and is then a warning; what is never allowed cannot', () => {
  const finding = (severity: Severity) => ({ severity, message: `DEST is ${severity}` });
  const told = [finding('warning'), finding('note')];
  assert.deepEqual(requireFit(told, { force: false }), told);

  const refused = [finding('refused'), ...told];
  assert.throws(() => requireFit(refused, { force: false }), {
    ...fault,
    message: 'DEST is refused',
    hint: /--force/,
  });
  assert.deepEqual(requireFit(refused, { force: true }), [
    { severity: 'warning', message: 'DEST is refused' },
    ...told,
  ]);

  const all = [finding('never'), ...refused];
  assert.throws(() => requireFit(all, { force: false }), {
    ...fault,
    message: 'DEST is never; DEST is refused',
  });
  assert.throws(
    () => requireFit(all, { force: true }),
    (error) => error instanceof LvmsyncError && error.message === 'DEST is never',
  );
});

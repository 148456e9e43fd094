import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type BigIntStats, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { identifyPath, identityFromStat, Topology } from '../../../src/device/topology.js';
import { scratchFolder } from '../../helpers/scratch.js';

const here = fileURLToPath(import.meta.url);

test('a regular file is known by the numbers that stat(1) shows', () => {
  const [device, inode] = execFileSync('stat', ['-c', '%Hd:%Ld %i', here], { encoding: 'utf8' })
    .trim()
    .split(' ');
  assert.deepEqual(identifyPath(here), { kind: 'file', device, inode });
});

const elsewhere: [string, string][] = [
  ['a character device', '/dev/null'],
  ['a directory', '/proc'],
  ['nothing', '/no/such/path'],
  ['something below a file', `${here}/below`],
];

for (const [what, path] of elsewhere) {
  test(`a path to ${what} leads to no device and no file`, () => {
    assert.equal(identifyPath(path), undefined);
  });
}

/** Numbers made with glibc's makedev(3). */
const deviceNumbers: [bigint, string][] = [
  [0x0801n, '8:1'],
  [0xfe00n, '254:0'],
  [0x10fe2cn, '254:300'],
  [0xffffffffn, '4095:1048575'],
  [0x120006783459an, '74565:424090'],
];

for (const [number, expected] of deviceNumbers) {
  test(`device number 0x${number.toString(16)} is ${expected}`, () => {
    const stats = { isBlockDevice: () => true, rdev: number } as unknown as BigIntStats;
    assert.deepEqual(identityFromStat(stats), { kind: 'block', device: expected });
  });
}

describe('a window onto another device', () => {
  const root = scratchFolder();
  const devices = join(root, 'sys/devices');
  /** A device's folder in sysfs, with what is in its files. */
  function device(
    place: string,
    number: string,
    files: Readonly<Record<string, string>> = {},
  ): void {
    const folder = join(devices, place);
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries({ dev: number, ...files })) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), `${text}\n`);
    }
    mkdirSync(join(root, 'sys/dev/block'), { recursive: true });
    symlinkSync(folder, join(root, 'sys/dev/block', number));
  }
  const block = (number: string) => ({ kind: 'block', device: number }) as const;
  const identify = (path: string) =>
    path === '/dev/vg/lv' ? block('254:1') : path === '/image' ? fileIdentity : undefined;
  const fileIdentity = { kind: 'file', device: '8:1', inode: '7' } as const;
  const topology = new Topology({ root, identify });

  device('sda', '8:0');
  device('sda/sda1', '8:1', { partition: '1', start: '2048' });
  device('loop0', '7:0', { 'loop/backing_file': '/dev/vg/lv', 'loop/offset': '1048576' });
  device('loop1', '7:1', { 'loop/backing_file': '/image', 'loop/offset': '0' });
  device('dm-1', '254:1', { 'dm/name': 'vg-lv', 'slaves/sda1/dev': '8:1' });
  device('md0', '9:0', { 'slaves/sda1/dev': '8:1' });

  for (const [what, number, expected] of [
    ['a partition', '8:1', { carrier: { device: '8:0', offset: 2048 * 512 }, isMixed: false }],
    [
      'a loop device over a device',
      '7:0',
      { carrier: { device: '254:1', offset: 1048576 }, isMixed: false },
    ],
    ['nothing: a loop device over a file', '7:1', { carrier: undefined, isMixed: false }],
    ['nothing: a disk', '8:0', { carrier: undefined, isMixed: false }],
    ['nothing: what device-mapper made', '254:1', { carrier: undefined, isMixed: false }],
    ['a mixture: RAID of md', '9:0', { carrier: undefined, isMixed: true }],
    ['nothing: a device that is not there', '1:1', { carrier: undefined, isMixed: false }],
  ] as const) {
    test(`is ${what}`, () => assert.deepEqual(topology.window(block(number)), expected));
  }
});

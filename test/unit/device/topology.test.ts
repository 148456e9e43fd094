import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { BigIntStats } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { identifyPath, identityFromStat } from '../../../src/device/topology.js';

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

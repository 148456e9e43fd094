// Stretches of thin volumes that are to read as zeros, and do so already.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { syncs } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { assertSameContent, fillRandom, saveContent, writeRandom } from '../harness/content.js';
import { GiB, KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { mappedBytes, shellForSsh, TestThinPool, useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

useOwnStateFolder();

const random = new Random();
const folder = scratchFolder();
const rsh = shellForSsh();
const SMALL = 4 * MiB;
const former = `${folder}/former`;
let group: TestVolumeGroup;
let data: LogicalVolume;
let pool: TestThinPool;

before(() => {
  group = new TestVolumeGroup({ size: 64 * MiB });
  pool = new TestThinPool(group, { size: 16 * MiB, blockSize: 64 * KiB });
  data = pool.createVolume('data', SMALL);
  fillRandom(data.path, random, 2 * MiB);
  saveContent(pool.snapshot(data, 'snap').path, former);
  tool('lvextend', '-q', '-y', '-L', '4g', 'vg0/data');
  data = group.volume('data');
  writeRandom(data.path, random, [{ offset: 8 * KiB, length: 64 * KiB }]);
});
after(() => group.destroy());

for (const [how, words, host] of [
  ['here', [], ''],
  ['on another host', [...rsh, '--timeout', '30'], 'h:'],
] as const) {
  test(`F36: a volume that grew to 4 GiB takes little of a snapback (${how})`, () => {
    const copy = pool.createVolume('copy', 4 * GiB);
    const snapback = `${folder}/snapback${host}`;
    tool('dd', `if=${former}`, `of=${copy.path}`, 'bs=1M', 'conv=fsync,notrunc', 'status=none');
    syncs([...words, '--snapback', snapback, 'vg0/snap', `${host}${copy.path}`]);
    assertSameContent(data.path, copy.path, 8 * MiB);
    assert.ok(statSync(snapback).size < 256 * KiB, `${statSync(snapback).size} bytes`);
    assert.ok(mappedBytes(copy) <= SMALL, 'nothing else is mapped');
    syncs(['--apply', snapback, copy.path]);
    assertSameContent(former, copy.path, SMALL);
    group.remove(copy);
  });
}

test('F35: discards of a large volume never look like a stall', () => {
  const large = pool.createVolume('large', 100 * GiB);
  const copy = pool.createVolume('copy', 100 * GiB);
  fillRandom(large.path, random, 2 * MiB);
  // What is mapped at the far end is not zero, so everything before it has to be looked at.
  writeRandom(copy.path, random, [{ offset: 99 * GiB, length: 64 * KiB }]);
  const words = ['cycle', '--init', '--timeout', '5', '--snapback', `${folder}/chain`, ...rsh];
  syncs([...words, 'vg0/large', `h:${copy.path}`]);
  assertSameContent(large.path, copy.path, 8 * MiB);
  tool('cmp', '-i', `${99 * GiB}`, '-n', `${MiB}`, large.path, copy.path);
  assert.ok(mappedBytes(copy) <= 4 * MiB, 'nothing else is mapped');
});

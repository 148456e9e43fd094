// Copies in pools that do not zero new blocks (lvcreate -Zn), and that held other data before.

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { someOf } from '../../helpers/faults/campaign.js';
import { assertFails, lvmsync, syncs } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { assertSameContent, fillRandom, saveContent, writeRandom } from '../harness/content.js';
import { KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { mappedBytes, shellForSsh, TestThinPool, useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

useOwnStateFolder();

const random = new Random();
const folder = scratchFolder();
const rsh = shellForSsh();

const SIZE = 4 * MiB;
const WRITTEN = MiB;
const POOL = 12 * MiB;

/** A pool without zeroing, all of which has held other data. */
function usedPool(group: TestVolumeGroup, blockSize: number): TestThinPool {
  const pool = new TestThinPool(group, { size: POOL, blockSize, zero: false });
  const other = pool.createVolume('other', POOL);
  fillRandom(other.path, random, POOL - (POOL % blockSize));
  group.remove(other);
  return pool;
}

for (const blockSize of someOf([64 * KiB, 192 * KiB], 1, random)) {
  describe(`F2: a copy in a pool without zeroing, in blocks of ${blockSize / KiB} KiB`, () => {
    const former = `${folder}/former`;
    const snapback = `${folder}/snapback`;
    const changes = `${folder}/changes`;
    const sparse = [`bs=${blockSize}`, 'iflag=fullblock', 'conv=sparse,notrunc,fsync'];
    let group: TestVolumeGroup;
    let pool: TestThinPool;
    let origin: LogicalVolume;
    let copy: LogicalVolume;

    before(() => {
      group = new TestVolumeGroup({ size: 64 * MiB });
      pool = usedPool(group, blockSize);
      origin = group.createVolume('origin', SIZE);
      tool('dd', 'if=/dev/zero', `of=${origin.path}`, 'bs=1M', 'count=4', 'status=none');
      fillRandom(origin.path, random, WRITTEN);
      const snapshot = group.createSnapshot(origin, { chunkSize: 4 * KiB });
      saveContent(snapshot.path, former);
      writeRandom(origin.path, random, [
        { offset: 8 * KiB, length: 4 * KiB },
        // Alone in a block; two in one block; over the edge of two blocks; at the end.
        { offset: 1300 * KiB, length: 4 * KiB },
        { offset: 1700 * KiB, length: 4 * KiB },
        { offset: 1708 * KiB, length: 4 * KiB },
        { offset: 1916 * KiB, length: 8 * KiB },
        { offset: 2400 * KiB, length: 700 * KiB },
        { offset: SIZE - 4 * KiB, length: 4 * KiB },
      ]);
    });
    beforeEach(() => {
      rmSync(snapback, { force: true });
      if (copy !== undefined) group.remove(copy);
      copy = pool.createVolume('copy', SIZE);
      tool('dd', `if=${former}`, `of=${copy.path}`, ...sparse, 'status=none');
      assertSameContent(former, copy.path);
      assert.ok(mappedBytes(copy) < 2 * MiB, 'most of it is not mapped');
    });
    after(() => group.destroy());

    test('F2: a sync leaves nothing beside what it writes, and is undone exactly', () => {
      syncs(['--snapback', snapback, 'vg0/snap', copy.path]);
      assertSameContent(origin.path, copy.path);
      syncs(['--apply', snapback, copy.path]);
      assertSameContent(former, copy.path);
    });

    test('F2: so does a sync to a loop device over it', () => {
      const loop = tool('losetup', '-f', '--show', copy.path).trim();
      try {
        syncs(['--snapback', snapback, 'vg0/snap', loop]);
        assertSameContent(origin.path, loop);
        syncs(['--apply', snapback, loop]);
        assertSameContent(former, loop);
      } finally {
        tool('losetup', '-d', loop);
      }
    });

    test('F2: so does a stream from another host, and a classic one', () => {
      syncs([...rsh, 'vg0/snap', `h:${copy.path}`]);
      assertSameContent(origin.path, copy.path);
      group.remove(copy);
      copy = pool.createVolume('copy', SIZE);
      syncs(['--format=classic', '--stdout', 'vg0/snap'], { stdoutFile: changes });
      tool('dd', `if=${former}`, `of=${copy.path}`, ...sparse, 'status=none');
      syncs(['--apply', changes, copy.path]);
      assertSameContent(origin.path, copy.path);
    });
  });
}

describe('F2: a volume in a pool without zeroing', () => {
  const blockSize = 64 * KiB;
  const changes = `${folder}/changes-to-thin`;
  const copy = `${folder}/copy`;
  let group: TestVolumeGroup;
  let pool: TestThinPool;
  let origin: LogicalVolume;

  before(() => {
    group = new TestVolumeGroup({ size: 64 * MiB });
    pool = usedPool(group, blockSize);
    origin = pool.createVolume('origin', SIZE);
    fillRandom(origin.path, random, WRITTEN);
    saveContent(origin.path, copy);
    group.createSnapshot(origin, { chunkSize: 4 * KiB });
    writeRandom(origin.path, random, [
      { offset: 8 * KiB, length: 4 * KiB },
      { offset: 1300 * KiB, length: 4 * KiB },
      { offset: SIZE - 4 * KiB, length: 4 * KiB },
    ]);
  });
  after(() => group.destroy());

  test('whole blocks have changed where a thick snapshot of it lists a chunk', () => {
    syncs(['--stdout', 'vg0/snap'], { stdoutFile: changes });
    syncs(['vg0/snap', copy]);
    assertSameContent(origin.path, copy);
  });

  for (const [what, target] of [
    ['stripes', `striped 1 128 /dev/vg0/below 0`],
    ['a target that passes everything on', `delay /dev/vg0/below 0 0`],
  ] as const) {
    test(`is not written through ${what}`, () => {
      const below = pool.createVolume('below', SIZE);
      tool('dmsetup', 'create', 'over', '--table', `0 ${SIZE / 512} ${target}`);
      try {
        const result = lvmsync(['--apply', changes, '/dev/mapper/over']);
        assertFails(result, 12, /lies on the thin volume vg0-below, whose pool does not zero/);
        assert.match(result.stderr, /Nothing was written\./);
        assert.equal(mappedBytes(below), 0);
      } finally {
        tool('dmsetup', 'remove', 'over');
        group.remove(below);
      }
    });
  }
});

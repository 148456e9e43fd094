import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { ENGINES, syncs } from '../../helpers/cli.js';
import { Random } from '../../helpers/random.js';
import {
  assertDifferentContent,
  assertSameContent,
  fillRandom,
  overlapping,
  saveContent,
  scattered,
  sequential,
  type Write,
  writeRandom,
} from '../harness/content.js';
import { exceptionCount, KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';

describe('a local sync after writes to the origin', () => {
  const random = new Random();
  const patterns: Readonly<Record<string, () => Iterable<Write>>> = {
    scattered: () => scattered(random, 48 * MiB, { count: 60, length: 4 * KiB }),
    sequential: () => sequential(random.below(40) * MiB, 50, 64 * KiB),
    overlapping: () => overlapping(random, random.below(40) * MiB, 40),
  };
  let group: TestVolumeGroup;
  let origin: LogicalVolume;
  let copy: LogicalVolume;

  before(() => {
    group = new TestVolumeGroup({ size: 300 * MiB });
    origin = group.createVolume('data', 48 * MiB);
    copy = group.createVolume('copy', 48 * MiB);
    fillRandom(origin.path, random, origin.size);
  });
  beforeEach(() => saveContent(origin.path, copy.path));
  after(() => group.destroy());

  for (const engine of ENGINES) {
    for (const chunkSize of [4 * KiB, 32 * KiB, 512 * KiB]) {
      for (const [pattern, writes] of Object.entries(patterns)) {
        test(`makes the copy equal: ${chunkSize / KiB} KiB chunks, ${pattern} writes, ${engine}`, (t) => {
          const snapshot = group.createSnapshot(origin, { chunkSize, until: t });
          writeRandom(origin.path, random, writes());
          assertDifferentContent(origin.path, copy.path);
          const changed = exceptionCount(snapshot, chunkSize) * chunkSize;

          const transferred = syncs([snapshot.path, copy.path], { engine });

          assertSameContent(origin.path, copy.path);
          assert.equal(transferred, changed, 'no more and no less than the changed chunks');
        });
      }
    }
  }

  test('nothing was written: succeeds and transfers nothing', (t) => {
    const snapshot = group.createSnapshot(origin, { chunkSize: 4 * KiB, until: t });
    assert.equal(syncs([snapshot.path, copy.path]), 0);
    assertSameContent(origin.path, copy.path);
  });

  test('a second run over the same snapshot leaves the copy equal', (t) => {
    const snapshot = group.createSnapshot(origin, { chunkSize: 32 * KiB, until: t });
    writeRandom(origin.path, random, patterns.scattered?.() ?? []);
    const first = syncs([snapshot.path, copy.path]);
    assert.equal(syncs([snapshot.path, copy.path]), first);
    assertSameContent(origin.path, copy.path);
  });

  for (const name of ['path in /dev/vg', 'vg/lv'] as const) {
    test(`the snapshot may be named by its ${name}`, (t) => {
      const snapshot = group.createSnapshot(origin, { chunkSize: 4 * KiB, until: t });
      writeRandom(origin.path, random, patterns.scattered?.() ?? []);
      const prefix = name === 'vg/lv' ? '' : '/dev/';
      syncs([`${prefix}${group.name}/${snapshot.lvName}`, copy.path]);
      assertSameContent(origin.path, copy.path);
    });
  }
});

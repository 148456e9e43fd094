import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { assertFails, ENGINES, lvmsync, syncs } from '../../helpers/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  assertSameContent,
  fillRandom,
  saveContent,
  scattered,
  sequential,
  writeRandom,
} from '../harness/content.js';
import {
  exceptionCount,
  KiB,
  type LogicalVolume,
  MiB,
  snapshotStatus,
  TestVolumeGroup,
} from '../harness/lvm.js';

describe('a COW store with chunks of 4 KiB, whose areas hold 256 exceptions', () => {
  const random = new Random();
  const chunkSize = 4 * KiB;
  const untouched = `${scratchFolder()}/copy`;
  let group: TestVolumeGroup;
  let origin: LogicalVolume;
  let copy: LogicalVolume;

  before(() => {
    group = new TestVolumeGroup({ size: 400 * MiB });
    origin = group.createVolume('data', 48 * MiB);
    copy = group.createVolume('copy', 48 * MiB);
    fillRandom(origin.path, random, origin.size);
  });
  beforeEach(() => saveContent(origin.path, copy.path));
  after(() => group.destroy());

  // Each write changes exactly one chunk: every second chunk, so that none is merged with the next.
  const everySecondChunk = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ offset: i * 2 * chunkSize, length: chunkSize }));

  for (const count of [1, 255, 256, 257, 511, 512, 513, 3000]) {
    test(`${count} exceptions are all found and sent`, (t) => {
      const snapshot = group.createSnapshot(origin, { chunkSize, until: t });
      writeRandom(origin.path, random, everySecondChunk(count));
      assert.equal(exceptionCount(snapshot, chunkSize), count);
      assert.equal(syncs([snapshot.path, copy.path]), count * chunkSize);
      assertSameContent(origin.path, copy.path);
    });
  }

  for (const engine of ENGINES) {
    test(`thousands of scattered exceptions are all found and sent (${engine})`, (t) => {
      const snapshot = group.createSnapshot(origin, { chunkSize, until: t });
      const plan = { count: 6000, length: 4 * KiB };
      writeRandom(origin.path, random, scattered(random, origin.size, plan));
      syncs([snapshot.path, copy.path], { engine });
      assertSameContent(origin.path, copy.path);
    });
  }

  test('a store that is full to its last chunk but one still serves', (t) => {
    const snapshot = group.createSnapshot(origin, { chunkSize, storeSize: 4 * MiB, until: t });
    const capacity = exceptionsThatFit(4 * MiB, chunkSize);
    writeRandom(origin.path, random, sequential(0, capacity - 1, chunkSize));
    assert.match(snapshotStatus(snapshot), /^\d+\/8192 /, 'the store has not overflowed');
    assert.equal(exceptionCount(snapshot, chunkSize), capacity - 1);
    syncs([snapshot.path, copy.path]);
    assertSameContent(origin.path, copy.path);
  });

  test('an overflowed snapshot is refused, and the destination is not touched', (t) => {
    const snapshot = group.createSnapshot(origin, { chunkSize, storeSize: 4 * MiB, until: t });
    saveContent(copy.path, untouched);
    writeRandom(origin.path, random, sequential(0, 1500, chunkSize));
    assert.match(snapshotStatus(snapshot), /^Invalid/);
    const result = lvmsync([snapshot.path, copy.path]);
    assertFails(result, EXIT.sourceUnfit, /overflow|invalid/i);
    assert.match(result.stderr, /full copy/i, 'says what to do instead');
    assertSameContent(copy.path, untouched);
  });
});

/** How many exceptions a store of `size` bytes can hold before it overflows. */
function exceptionsThatFit(size: number, chunkSize: number): number {
  const perArea = chunkSize / 16;
  const chunks = size / chunkSize - 1;
  const fullStrides = Math.floor(chunks / (perArea + 1));
  const rest = chunks - fullStrides * (perArea + 1);
  return fullStrides * perArea + Math.max(0, rest - 1);
}

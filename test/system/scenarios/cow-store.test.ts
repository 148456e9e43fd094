import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { someOf } from '../../helpers/faults/campaign.js';
import { assertFails, ENGINES, lvmsync, syncs } from '../../helpers/program/cli.js';
import { saveContent, sequential, writeRandom } from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { exceptionCount, KiB, MiB, snapshotStatus } from '../harness/lvm.js';

describe('a COW store with chunks of 4 KiB, whose areas hold 256 exceptions', () => {
  const chunkSize = 4 * KiB;
  const lab = withThickCopy({ size: 48 * MiB, chunkSize });
  const { random } = lab;
  beforeEach(() => saveContent(lab.origin.path, lab.copy.path));

  // Each write changes exactly one chunk: every second chunk, so that none is merged with the next.
  const everySecondChunk = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ offset: i * 2 * chunkSize, length: chunkSize }));

  for (const count of someOf([1, 255, 256, 257, 511, 512, 513, 3000], 3, random)) {
    test(`${count} exceptions are all found and sent`, (t) => {
      const snapshot = lab.createSnapshot({ until: t });
      writeRandom(lab.origin.path, random, everySecondChunk(count));
      assert.equal(exceptionCount(snapshot, chunkSize), count);
      assert.equal(syncs([snapshot.path, lab.copy.path]), count * chunkSize);
      lab.assertEqual();
    });
  }

  for (const engine of someOf(ENGINES, 1, random)) {
    test(`thousands of scattered exceptions are all found and sent (${engine})`, (t) => {
      const snapshot = lab.createSnapshot({ until: t });
      lab.change(6000);
      syncs([snapshot.path, lab.copy.path], { engine });
      lab.assertEqual();
    });
  }

  test('a store that is full to its last chunk but one still serves', (t) => {
    const snapshot = lab.createSnapshot({ storeSize: 4 * MiB, until: t });
    const capacity = exceptionsThatFit(4 * MiB, chunkSize);
    writeRandom(lab.origin.path, random, sequential(0, capacity - 1, chunkSize));
    assert.match(snapshotStatus(snapshot), /^\d+\/8192 /, 'the store has not overflowed');
    assert.equal(exceptionCount(snapshot, chunkSize), capacity - 1);
    syncs([snapshot.path, lab.copy.path]);
    lab.assertEqual();
  });

  test('an overflowed snapshot is refused, and the destination is not touched', (t) => {
    const snapshot = lab.createSnapshot({ storeSize: 4 * MiB, until: t });
    lab.keep();
    writeRandom(lab.origin.path, random, sequential(0, 1500, chunkSize));
    assert.match(snapshotStatus(snapshot), /^Invalid/);
    const result = lvmsync([snapshot.path, lab.copy.path]);
    assertFails(result, EXIT.sourceUnfit, /overflow|invalid/i);
    assert.match(result.stderr, /full copy/i, 'says what to do instead');
    lab.assertUntouched();
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

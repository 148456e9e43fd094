import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { someOf } from '../../helpers/faults/campaign.js';
import { ENGINES, syncs } from '../../helpers/program/cli.js';
import {
  assertDifferentContent,
  overlapping,
  saveContent,
  scattered,
  sequential,
  type Write,
  writeRandom,
} from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { exceptionCount, KiB, MiB } from '../harness/lvm.js';

describe('a local sync after writes to the origin', () => {
  const lab = withThickCopy({ size: 48 * MiB });
  const { random } = lab;
  const patterns: Readonly<Record<string, () => Iterable<Write>>> = {
    scattered: () => scattered(random, 48 * MiB, { count: 60, length: 4 * KiB }),
    sequential: () => sequential(random.below(40) * MiB, 50, 64 * KiB),
    overlapping: () => overlapping(random, random.below(40) * MiB, 40),
  };
  beforeEach(() => saveContent(lab.origin.path, lab.copy.path));

  const cases = ENGINES.flatMap((engine) =>
    [4 * KiB, 32 * KiB, 512 * KiB].flatMap((chunkSize) =>
      Object.entries(patterns).map(([pattern, writes]) => ({ engine, chunkSize, pattern, writes })),
    ),
  );
  for (const { engine, chunkSize, pattern, writes } of someOf(cases, 6, random)) {
    test(`makes the copy equal: ${chunkSize / KiB} KiB chunks, ${pattern} writes, ${engine}`, (t) => {
      const snapshot = lab.createSnapshot({ chunkSize, until: t });
      writeRandom(lab.origin.path, random, writes());
      assertDifferentContent(lab.origin.path, lab.copy.path);
      const changed = exceptionCount(snapshot, chunkSize) * chunkSize;

      const transferred = syncs([snapshot.path, lab.copy.path], { engine });

      lab.assertEqual();
      assert.equal(transferred, changed, 'no more and no less than the changed chunks');
    });
  }

  test('nothing was written: succeeds and transfers nothing', (t) => {
    const snapshot = lab.createSnapshot({ until: t });
    assert.equal(syncs([snapshot.path, lab.copy.path]), 0);
    lab.assertEqual();
  });

  test('a second run over the same snapshot leaves the copy equal', (t) => {
    const snapshot = lab.createSnapshot({ chunkSize: 32 * KiB, until: t });
    writeRandom(lab.origin.path, random, patterns.scattered?.() ?? []);
    const first = syncs([snapshot.path, lab.copy.path]);
    assert.equal(syncs([snapshot.path, lab.copy.path]), first);
    lab.assertEqual();
  });

  for (const name of ['path in /dev/vg', 'vg/lv'] as const) {
    test(`the snapshot may be named by its ${name}`, (t) => {
      const snapshot = lab.createSnapshot({ until: t });
      writeRandom(lab.origin.path, random, patterns.scattered?.() ?? []);
      const prefix = name === 'vg/lv' ? '' : '/dev/';
      syncs([`${prefix}${lab.group.name}/${snapshot.lvName}`, lab.copy.path]);
      lab.assertEqual();
    });
  }
});

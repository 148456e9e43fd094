import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { readThinDifference } from '../../../src/lvm/thin/difference.js';
import { splitChanges } from '../../../src/source/thin-source.js';
import { type DumpText, dumpText, FakeTool, type Run } from '../../helpers/lvm/thin-xml.js';

const BLOCK = 64 * 1024;

function toolFor(text: Partial<DumpText>): FakeTool {
  return new FakeTool(dumpText({ deviceId: 1, runs: [], blockSectors: 128, ...text }));
}

/** Offsets and lengths in blocks of what is sent, and of the part of it that reads as zeros. */
async function whole(runs: readonly Run[], blocks: number): Promise<Record<string, number[]>> {
  const size = blocks * BLOCK;
  const to = { dump: toolFor({ runs }), deviceId: 1 };
  const difference = await readThinDifference({ from: undefined, to, size });
  assert.deepEqual([...difference.discarded.pairs], []);
  const { extents, zeros } = splitChanges(difference, 0, { size, readsAsZeros: true });
  const inBlocks = (pairs: Iterable<number>): number[] => [...pairs].map((bytes) => bytes / BLOCK);
  return { extents: inBlocks(extents.pairs), zeros: inBlocks(zeros.pairs) };
}

describe('all of a thin volume', () => {
  for (const [title, runs, zeros] of [
    ['that maps nothing reads as zeros', [], [0, 8]],
    [
      'that maps all of itself is data',
      [
        [0, 100, 3],
        [3, 7, 5],
      ],
      [],
    ],
    [
      'is data where it is mapped, and zeros elsewhere',
      [
        [1, 100, 2],
        [6, 7, 1],
      ],
      [0, 1, 3, 3, 7, 1],
    ],
    ['ends where the volume ends, whatever is mapped behind', [[6, 7, 9]], [0, 6]],
  ] as const satisfies readonly (readonly [string, readonly Run[], readonly number[]])[]) {
    test(title, async () => assert.deepEqual(await whole(runs, 8), { extents: [0, 8], zeros }));
  }

  test('is refused where the dump breaks off', async () => {
    const dump = new FakeTool(dumpText({ deviceId: 1, runs: [[0, 1, 1]] }).slice(0, -20));
    const reading = readThinDifference({
      from: undefined,
      to: { dump, deviceId: 1 },
      size: BLOCK,
    });
    await assert.rejects(reading, LvmsyncError);
  });
});

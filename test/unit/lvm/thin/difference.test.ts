import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LvmsyncError } from '../../../../src/base/errors.js';
import { readThinDifference, type ThinDifference } from '../../../../src/lvm/thin/difference.js';
import { type DumpText, dumpText, FakeTool, type Run } from '../../../helpers/lvm/thin-xml.js';

const KiB = 1024;
const MOST_BYTES = Number.MAX_SAFE_INTEGER;

type Blocks = readonly (readonly [begin: number, length: number])[];

interface Pair {
  readonly from: readonly Run[];
  readonly to: readonly Run[];
  readonly size?: number;
  readonly blockSectors?: number;
}

function compare(from: FakeTool, to: FakeTool, size = MOST_BYTES): Promise<ThinDifference> {
  return readThinDifference({
    from: { dump: from, deviceId: 3 },
    to: { dump: to, deviceId: 1 },
    size,
  });
}

function toolFor(
  text: Partial<DumpText>,
  how?: ConstructorParameters<typeof FakeTool>[1],
): FakeTool {
  return new FakeTool(dumpText({ deviceId: 3, runs: [], ...text }), how);
}

function differenceOf({ from, to, size, blockSectors = 128 }: Pair): Promise<ThinDifference> {
  const older = toolFor({ runs: from, blockSectors });
  return compare(older, toolFor({ deviceId: 1, runs: to, blockSectors }), size);
}

function pairs({ changed, discarded }: ThinDifference): { changed: number[]; discarded: number[] } {
  return { changed: [...changed.pairs], discarded: [...discarded.pairs] };
}

function inBytes(blocks: Blocks, blockSize: number): number[] {
  return blocks.flatMap(([begin, length]) => [begin * blockSize, length * blockSize]);
}

describe('readThinDifference', () => {
  const cases: readonly (Pair & { name: string; changed: Blocks; discarded: Blocks })[] = [
    { name: 'two devices with nothing mapped', from: [], to: [], changed: [], discarded: [] },
    {
      name: 'devices that are the same, in other pieces',
      from: [[0, 10, 6]],
      to: [
        [0, 10, 1],
        [1, 11, 5],
      ],
      changed: [],
      discarded: [],
    },
    { name: 'a first write', from: [], to: [[5, 1, 3]], changed: [[5, 3]], discarded: [] },
    { name: 'a discard', from: [[5, 1, 3]], to: [], changed: [], discarded: [[5, 3]] },
    {
      name: 'a block written within a run',
      from: [[0, 10, 9]],
      to: [
        [0, 10, 4],
        [4, 50, 1],
        [5, 15, 4],
      ],
      changed: [[4, 1]],
      discarded: [],
    },
    {
      name: 'a run that begins with the same data block one block later',
      from: [[0, 10, 4]],
      to: [[1, 10, 4]],
      changed: [[1, 4]],
      discarded: [[0, 1]],
    },
    {
      name: 'neighbours of different kinds, merged where the kind is the same',
      from: [
        [0, 10, 2],
        [4, 14, 2],
      ],
      to: [
        [0, 20, 1],
        [1, 30, 1],
        [2, 40, 2],
        [4, 50, 1],
      ],
      changed: [[0, 5]],
      discarded: [[5, 1]],
    },
    {
      name: 'a gap in both between two changes',
      from: [],
      to: [
        [0, 1, 1],
        [2, 2, 1],
      ],
      changed: [
        [0, 1],
        [2, 1],
      ],
      discarded: [],
    },
    {
      name: 'a range of most of the largest device',
      from: [[0, 0, 2 ** 36]],
      to: [[1, 1, 2 ** 36]],
      changed: [[2 ** 36, 1]],
      discarded: [[0, 1]],
    },
  ];
  for (const { name, changed, discarded, ...pair } of cases) {
    test(`compares ${name}`, async () => {
      const found = await differenceOf(pair);
      assert.deepEqual(pairs(found), {
        changed: inBytes(changed, 64 * KiB),
        discarded: inBytes(discarded, 64 * KiB),
      });
    });
  }

  test('counts in data blocks of 192 KiB', async () => {
    const found = await differenceOf({ from: [[1, 1, 1]], to: [[3, 3, 2]], blockSectors: 384 });
    assert.equal(found.dataBlockSize, 192 * KiB);
    assert.deepEqual(pairs(found), {
      changed: [576 * KiB, 384 * KiB],
      discarded: [192 * KiB, 192 * KiB],
    });
  });

  test('leaves out what lies beyond the end of the device', async () => {
    const from: Run[] = [
      [2, 2, 1],
      [2 ** 47, 5, 7],
    ];
    const to: Run[] = [
      [0, 20, 1],
      [3, 30, 9],
      [2 ** 46, 50, 2 ** 40],
    ];
    for (const [size, changed, discarded] of [
      [1, [0, 1], []],
      [64 * KiB, [0, 64 * KiB], []],
      [128 * KiB + 512, [0, 64 * KiB], [128 * KiB, 512]],
      [192 * KiB + 512, [0, 64 * KiB, 192 * KiB, 512], [128 * KiB, 64 * KiB]],
      [256 * KiB, [0, 64 * KiB, 192 * KiB, 64 * KiB], [128 * KiB, 64 * KiB]],
    ] as const) {
      assert.deepEqual(pairs(await differenceOf({ from, to, size })), { changed, discarded });
    }
  });

  /** What is mapped where, for runs of up to three blocks among forty. */
  const someRuns = fc
    .array(fc.tuple(fc.nat(3), fc.nat(9), fc.integer({ min: 1, max: 3 })), { maxLength: 15 })
    .map((steps) => {
      let end = 0;
      return steps.map(([gap, data, length]): Run => {
        const begin = end + gap;
        end = begin + length;
        return [begin, data + (begin % 3), length];
      });
    });

  function blockByBlock(runs: readonly Run[]): Map<number, number> {
    return new Map(
      runs.flatMap(([begin, data, length]) =>
        Array.from({ length }, (_, index): [number, number] => [begin + index, data + index]),
      ),
    );
  }

  function blocksOf(numbers: readonly number[], blockSize: number): number[] {
    const blocks: number[] = [];
    for (let at = 0; at < numbers.length; at += 2) {
      const first = (numbers[at] ?? 0) / blockSize;
      const count = (numbers[at + 1] ?? 0) / blockSize;
      for (let block = first; block < first + count; block++) blocks.push(block);
    }
    return blocks;
  }

  for (const [fromSize, changed, discarded] of [
    [10 * 64 * KiB, [], [[6, 1]]],
    [9 * 64 * KiB, [[9, 1]], [[6, 1]]],
    [8 * 64 * KiB + 1, [[9, 1]], [[6, 1]]],
    [8 * 64 * KiB, [[8, 2]], [[6, 1]]],
    [6 * 64 * KiB, [[7, 3]], []],
    [
      0,
      [
        [3, 1],
        [7, 3],
      ],
      [],
    ],
  ] as const) {
    test(`counts nothing of the older volume as mapped behind its ${fromSize} bytes`, async () => {
      const result = await readThinDifference({
        from: {
          dump: toolFor({
            runs: [
              [3, 3, 1],
              [6, 6, 4],
            ],
          }),
          deviceId: 3,
        },
        to: {
          dump: toolFor({
            deviceId: 1,
            runs: [
              [3, 3, 1],
              [7, 7, 3],
            ],
          }),
          deviceId: 1,
        },
        size: 10 * 64 * KiB,
        fromSize,
      });
      const wanted = [changed, discarded].map((blocks) => inBytes(blocks, 64 * KiB));
      assert.deepEqual([[...result.changed.pairs], [...result.discarded.pairs]], wanted);
    });
  }

  test('finds what a comparison block by block finds, however the two outputs are cut', async () => {
    const size = fc.integer({ min: 1, max: 500 });
    const property = fc.asyncProperty(someRuns, someRuns, size, async (from, to, piece) => {
      const older = toolFor({ runs: from }, { size: piece });
      const newer = toolFor({ deviceId: 1, runs: to }, { size: 501 - piece });
      const found = pairs(await compare(older, newer));
      const [left, right] = [blockByBlock(from), blockByBlock(to)];
      const changed = [...right.keys()].filter((block) => left.get(block) !== right.get(block));
      const discarded = [...left.keys()].filter((block) => !right.has(block));
      assert.deepEqual(blocksOf(found.changed, 64 * KiB), changed);
      assert.deepEqual(blocksOf(found.discarded, 64 * KiB), discarded);
    });
    await fc.assert(property, { numRuns: 300 });
  });

  test('keeps gaps and lengths of any size', async () => {
    const to: Run[] = [1, 127, 128, 129, 2 ** 14, 2 ** 21 + 1, 2 ** 28 - 1, 2 ** 28, 2 ** 35].map(
      (number, index): Run => [2 ** (index + 4) * 3 + number, 0, 1],
    );
    const ascending = [...to].sort(([a], [b]) => a - b);
    const found = await differenceOf({ from: [], to: ascending });
    assert.deepEqual(
      [...found.changed.pairs],
      inBytes(
        ascending.map(([begin, , length]) => [begin, length]),
        64 * KiB,
      ),
    );
  });

  test('finds as many extents as there are, in far less memory than the text they came from', async () => {
    const to = Array.from({ length: 100_000 }, (_, index): Run => [3 * index, 7, 1]);
    const found = await differenceOf({ from: [], to });
    assert.equal(found.changed.count, to.length);
    assert.equal(found.changed.totalBytes, to.length * 64 * KiB);
    assert.equal(found.changed.pairs.buffer.byteLength, to.length * 16);
  });

  test('does not read far ahead on the side that it does not need', async () => {
    const runs = Array.from({ length: 200_000 }, (_, index): Run => [2 ** 31 + 2 * index, 0, 1]);
    const ahead = toolFor({ deviceId: 1, runs }, { size: 4096 });
    let most = 0;
    const slow = new FakeTool(dumpText({ deviceId: 3, runs: [[2 ** 30, 0, 1]] }), { size: 1 });
    const watched = {
      ended: slow.ended,
      stop: () => slow.stop(),
      stdout: (async function* () {
        for await (const bytes of slow.stdout) {
          most = Math.max(most, ahead.taken);
          yield bytes;
        }
      })(),
    };
    await readThinDifference({
      from: { dump: watched, deviceId: 3 },
      to: { dump: ahead, deviceId: 1 },
      size: MOST_BYTES,
    });
    assert.ok(
      most < 200,
      `${most} pieces of 4 KiB were taken while the other side had nothing yet`,
    );
  });

  const runs: readonly Run[] = [[0, 1, 1]];

  test('refuses dumps of pools with different data blocks, and stops both tools', async () => {
    const [older, newer] = [toolFor({ blockSectors: 256 }), toolFor({ deviceId: 1 })];
    await assert.rejects(compare(older, newer), (error) => {
      assert.ok(error instanceof LvmsyncError);
      assert.equal(error.exitStatus, 18);
      assert.match(error.message, /disagree: data blocks of 131072 and of 65536 bytes/);
      return true;
    });
    assert.deepEqual([older.stops > 0, newer.stops > 0], [true, true]);
  });

  test('refuses dumps of different metadata snaps', async () => {
    const newer = toolFor({ deviceId: 1, transaction: 2 });
    await assert.rejects(compare(toolFor({}), newer), /from different metadata snaps/);
  });

  const broken: readonly (readonly [string, () => FakeTool, RegExp])[] = [
    ['fails', () => toolFor({ runs }, { ending: 'fail' }), /bad checksum/],
    ['prints nonsense', () => new FakeTool('nonsense'), /there is text/],
    [
      'ends too early',
      () => new FakeTool(dumpText({ deviceId: 3, runs }).slice(0, 250)),
      /too early/,
    ],
  ];
  for (const [what, make, message] of broken) {
    test(`ends the other tool, which would go on for ever, when one ${what}`, async () => {
      const tool = make();
      const other = new FakeTool(dumpText({ deviceId: 1, runs }).slice(0, 200), { ending: 'hang' });
      await assert.rejects(compare(tool, other), message);
      assert.ok(tool.stops > 0 && other.stops > 0);
    });
  }
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BATCH_LIMITS, ExtentList, NO_EXTENTS } from '../../../src/device/extent.js';
import type { ExtentPairs, Operations } from '../../../src/host/native.js';
import type { BlockHashes } from '../../../src/pipeline/block-hashes.js';
import {
  type Comparer,
  type Comparison,
  compare,
  Differences,
} from '../../../src/pipeline/compare.js';
import { HashComparer } from '../../../src/pipeline/compare-hashes.js';
import { HASH_LIMITS } from '../../../src/stream/hash-lines.js';
import { Random } from '../../helpers/random.js';

const MIB = 1024 * 1024;

/** The hash of a block tells its place, and the first byte in it that is marked. */
class MarkedHashes implements BlockHashes {
  readonly #marks: readonly number[];
  readonly asked: [offset: number, length: number][] = [];
  mostAtOnce = 0;
  #atOnce = 0;

  constructor(marks: readonly number[] = []) {
    this.#marks = marks;
  }

  async hash(operations: Operations): Promise<Uint8Array> {
    this.#atOnce++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
    this.#atOnce--;
    const hashes = Buffer.alloc((operations.length / 3) * 16);
    for (let i = 0; i < operations.length / 3; i++) {
      const [offset = 0, length = 0] = operations.subarray(3 * i);
      this.asked.push([offset, length]);
      const mark = this.#marks.find((at) => at >= offset && at < offset + length);
      hashes.writeDoubleBE(offset, 16 * i);
      hashes.writeDoubleBE(mark ?? -1, 16 * i + 8);
    }
    return hashes;
  }
}

function list(...pairs: number[]): ExtentList {
  return new ExtentList(Float64Array.from(pairs));
}

async function differencesOf(
  extents: ExtentList,
  marks: readonly number[],
  { source, destination, ...more }: Partial<Comparison & Ends> = {},
): Promise<Differences> {
  const found = new Differences();
  const { signal } = new AbortController();
  const ends = [source ?? new MarkedHashes(), destination ?? new MarkedHashes(marks)] as const;
  const comparer = new HashComparer(...ends);
  await compare({ comparer, extents, signal, onProgress: () => undefined, ...more }, found);
  return found;
}

interface Ends {
  readonly source: BlockHashes;
  readonly destination: BlockHashes;
}

describe('a comparison by hashes', () => {
  test('of nothing finds nothing', async () => {
    const found = await differencesOf(NO_EXTENTS, [5]);
    assert.deepEqual([found.bytes, found.count, found.first(10)], [0, 0, []]);
  });

  test('finds no difference where there is none, and looks at each byte once', async () => {
    const source = new MarkedHashes();
    const found = await differencesOf(list(0, 3 * MIB, 4 * MIB, 777), [], { source });
    assert.equal(found.bytes, 0);
    const asked = source.asked.sort(([a], [b]) => a - b);
    assert.equal(
      asked.reduce((sum, [, length]) => sum + length, 0),
      3 * MIB + 777,
    );
    assert.ok(asked.every(([, length]) => length <= HASH_LIMITS.operationBytes));
  });

  test('narrows a difference to its page, clipped to what is compared', async () => {
    const found = await differencesOf(list(100, 200_000), [100, 70_000, 200_099]);
    assert.deepEqual(found.first(10), [
      { offset: 100, length: 3996 },
      { offset: 69632, length: 4096 },
      { offset: 196608, length: 3492 },
    ]);
    assert.deepEqual([found.count, found.bytes], [3, 3996 + 4096 + 3492]);
  });

  test('narrows a block that is small but lies in two pages', async () => {
    const found = await differencesOf(list(4000, 200), [4100]);
    assert.deepEqual(found.first(10), [{ offset: 4096, length: 104 }]);
  });

  test('keeps a block whole that differed at the first look only', async () => {
    const unsteady = new MarkedHashes([70_000]);
    const steady = new MarkedHashes();
    let looks = 0;
    const destination: BlockHashes = {
      hash: (operations) => (looks++ === 0 ? unsteady : steady).hash(operations),
    };
    const found = await differencesOf(list(0, 200_000), [], { destination });
    assert.deepEqual(found.first(10), [{ offset: 65536, length: 65536 }]);
  });

  test('makes one range of neighbours, across blocks and batches', async () => {
    const marks = Array.from({ length: (4 * MIB) / 4096 }, (_, page) => page * 4096);
    const found = await differencesOf(list(0, 5 * MIB), marks);
    assert.deepEqual(found.first(10), [{ offset: 0, length: 4 * MIB }]);
    assert.deepEqual([...(found.list()?.pairs ?? [])], [0, 4 * MIB]);
  });

  test('finds exactly the marked pages, whatever is compared', async () => {
    const random = new Random();
    for (let round = 0; round < 30; round++) {
      const pairs: number[] = [];
      for (let at = random.below(9000); pairs.length < 200; ) {
        const length = 1 + random.below(random.below(5) === 0 ? 300_000 : 9000);
        pairs.push(at, length);
        at += length + random.below(20_000);
      }
      const extents = list(...pairs);
      const marks = Array.from({ length: 40 }, () => random.below(extents.end));
      const found = await differencesOf(extents, marks);
      for (const mark of marks) {
        const inside = pairs.some(
          (at, i) => i % 2 === 0 && mark >= at && mark < at + (pairs[i + 1] ?? 0),
        );
        const all = found.list()?.pairs ?? [];
        const isFound = all.some(
          (at, i) => i % 2 === 0 && mark >= at && mark < at + (all[i + 1] ?? 0),
        );
        assert.equal(isFound, inside, `mark ${mark}`);
      }
      assert.ok(found.bytes <= marks.length * 4096);
    }
  });

  test('asks ahead, but no more than is bounded', async () => {
    const destination = new MarkedHashes();
    await differencesOf(list(0, 400 * MIB), [], { destination });
    assert.equal(destination.mostAtOnce, new HashComparer(destination, destination).depth);
  });

  test('fails with the first failure of either end', async () => {
    for (const which of ['source', 'destination'] as const) {
      const broken: BlockHashes = {
        hash: async () => {
          throw new Error(which);
        },
      };
      await assert.rejects(differencesOf(list(0, 50 * MIB), [], { [which]: broken }), {
        message: which,
      });
    }
  });

  test('stops when the signal comes', async () => {
    const controller = new AbortController();
    const source = new MarkedHashes();
    await differencesOf(list(0, 4096 * MIB), [], {
      source,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    assert.ok(source.asked.length < 20_000);
  });
});

/** Calls the first extent of each batch different; later answers come before earlier ones. */
class SlowComparer implements Comparer {
  readonly limits = BATCH_LIMITS;
  readonly depth = 3;
  mostAtOnce = 0;
  #atOnce = 0;
  #calls = 0;

  async differences(operations: Operations): Promise<ExtentPairs> {
    this.#atOnce++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    await new Promise((resolve) => setTimeout(resolve, 10 - 2 * this.#calls++));
    this.#atOnce--;
    return operations.slice(0, 2);
  }
}

describe('a comparison', () => {
  test('asks its comparer as much at once as that says, and takes the answers in order', async () => {
    const comparer = new SlowComparer();
    const { signal } = new AbortController();
    const found = new Differences();
    const done: number[] = [];
    const onProgress = (bytes: number): void => void done.push(bytes / MIB);
    await compare({ comparer, extents: list(0, 10 * MIB), signal, onProgress }, found);
    assert.equal(comparer.mostAtOnce, 3);
    assert.deepEqual(done, [2, 4, 6, 8, 10]);
    assert.deepEqual(
      found.first(10).map(({ offset, length }) => [offset / MIB, length / MIB]),
      [0, 2, 4, 6, 8].map((offset) => [offset, 1]),
    );
  });
});

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../src/base/errors.js';
import { readThinDifference, type ThinDifference } from '../../src/lvm/thin/difference.js';
import { readThinDelta } from '../helpers/lvm/thin-delta.js';
import { randomPool, type ThinPoolModel } from '../helpers/lvm/thin-model.js';
import {
  deltaOf,
  dumpDevices,
  installedThinTools,
  METADATA_BLOCK,
  makeMetadata,
  newerThinTools,
  streamOf,
  type ThinTools,
  ToolFailure,
  type ToolRun,
} from '../helpers/lvm/thin-tools.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const MiB = 1024 * 1024;
const FLIPS = Number(process.env.LVMSYNC_TEST_THIN_FLIPS ?? 150);
const PAIRS = Number(process.env.LVMSYNC_TEST_THIN_PAIRS ?? 500);

interface Side {
  readonly dump: ToolRun;
  readonly id: number;
}

interface Trial {
  readonly pool: ThinPoolModel;
  readonly path: string;
  readonly from: number;
  readonly to: number;
  readonly size: number;
  readonly what: string;
}

function difference(from: Side, to: Side, size: number): Promise<ThinDifference> {
  return readThinDifference({
    from: { dump: streamOf(from.dump), deviceId: from.id },
    to: { dump: streamOf(to.dump), deviceId: to.id },
    size,
  });
}

function assertExpected(found: ThinDifference, { pool, from, to, size, what }: Trial): void {
  const expected = pool.difference(from, to, size);
  assert.deepEqual([...found.changed.pairs], expected.changed, `changed, ${what}`);
  assert.deepEqual([...found.discarded.pairs], expected.discarded, `discarded, ${what}`);
  assert.equal(found.dataBlockSize, pool.dataBlockSize);
}

/** All ordered pairs of six related devices, then those of the next pool. */
async function* randomTrials(tools: ThinTools, pairs: number): AsyncGenerator<Trial> {
  const folder = scratchFolder('memory');
  const random = new Random();
  const withDefs = !tools.version.startsWith('0.');
  for (let done = 0, number = 0; done < pairs; number++) {
    const pool = randomPool(random);
    const path = join(folder, `pool-${number}`);
    await makeMetadata(tools, path, { xml: pool.toXml({ withDefs }), size: 2 * MiB });
    const ids = pool.deviceIds;
    for (const from of ids) {
      for (const to of ids) {
        if (from === to || done === pairs) continue;
        done++;
        const sectors =
          random.below(2) === 0 ? 2 ** 30 : 1 + random.below(2000 * pool.blockSectors);
        const what = `seed ${random.seed}, pool ${number}, devices ${from} and ${to}`;
        yield { pool, path, from, to, size: sectors * 512, what };
      }
    }
  }
}

function dumpEach(tools: ThinTools, { pool, path }: Trial): Promise<[number, ToolRun][]> {
  const dumps = pool.deviceIds.map(async (id): Promise<[number, ToolRun]> => {
    return [id, await dumpDevices(tools, path, [id])];
  });
  return Promise.all(dumps);
}

const installed = installedThinTools();
const newer = newerThinTools();

const generations = [
  { name: 'the installed thin-provisioning-tools', tools: installed ?? 'there are none' },
  { name: 'thin-provisioning-tools 1.x', tools: newer },
];

for (const { name, tools } of generations) {
  const skip = typeof tools === 'string' && tools;
  const shown = typeof tools === 'string' ? name : `${name} (${tools.version})`;

  describe(`with ${shown}`, { skip }, () => {
    if (typeof tools === 'string') return;

    test(`finds what a block by block comparison finds, in ${PAIRS} random pairs of devices`, async () => {
      let dumps = new Map<number, ToolRun>();
      let path = '';
      for await (const trial of randomTrials(tools, PAIRS)) {
        if (trial.path !== path) dumps = new Map(await dumpEach(tools, trial));
        path = trial.path;
        const [older, newer] = [trial.from, trial.to].map((id) => ({ dump: dumps.get(id)!, id }));
        assertExpected(await difference(older!, newer!, trial.size), trial);
      }
    });

    test('finds the same in one dump of both devices, with what they share named', async () => {
      // Older tools name nothing. Of some hundred pairs there may happen to be none that share a whole part.
      let isNamed = tools.version.startsWith('0.');
      let done = 0;
      for await (const trial of randomTrials(tools, PAIRS)) {
        const { from, to } = trial;
        const dump = await dumpDevices(tools, trial.path, [from, to]);
        isNamed ||= dump.stdout.includes('<ref ');
        assertExpected(await difference({ dump, id: from }, { dump, id: to }, trial.size), trial);
        if (++done >= PAIRS / 5 && isNamed) break;
      }
      assert.ok(isNamed, 'no dump had a <ref>');
    });

    test('thin_delta says what two thin_dump say', async () => {
      for await (const trial of randomTrials(tools, Math.ceil(PAIRS / 5))) {
        const { pool, from, to } = trial;
        const run = await deltaOf(tools, trial.path, trial);
        const found = await readThinDelta({
          delta: streamOf(run),
          from: { deviceId: from, mappedBlocks: pool.mappedBlocks(from) },
          to: { deviceId: to, mappedBlocks: pool.mappedBlocks(to) },
          size: trial.size,
        });
        assertExpected(found, trial);
      }
    });

    test(`never accepts a wrong list, in ${FLIPS} metadata devices with a flipped bit`, async () => {
      const random = new Random();
      const pool = randomPool(random);
      const path = join(scratchFolder('memory'), 'pool');
      const withDefs = !tools.version.startsWith('0.');
      await makeMetadata(tools, path, { xml: pool.toXml({ withDefs }), size: 2 * MiB });
      const [from, to] = pool.deviceIds.slice(-2) as [number, number];
      const verdicts = { accepted: 0, refused: 0 };
      for await (const what of flippedBits(path, random, FLIPS)) {
        const [older, newer] = await Promise.all(
          [from, to].map((id) => dumpDevices(tools, path, [id])),
        );
        const found = await unlessRefused(
          difference({ dump: older!, id: from }, { dump: newer!, id: to }, 2 ** 40),
        );
        if (found === undefined) verdicts.refused++;
        else {
          verdicts.accepted++;
          assertExpected(found, { pool, path, from, to, size: 2 ** 40, what });
        }
      }
      console.log(`${tools.version}: ${JSON.stringify(verdicts)}`);
      assert.ok(verdicts.refused > 0, 'no flip mattered');
    });
  });
}

/** Flips one bit in the metadata that is in use, and flips it back. */
async function* flippedBits(path: string, random: Random, count: number): AsyncGenerator<string> {
  const image = readFileSync(path);
  const used = usedBlocks(image);
  const fd = openSync(path, 'r+');
  try {
    for (let left = count; left > 0; left--) {
      const block = used[random.below(used.length)] ?? 0;
      const at = block * METADATA_BLOCK + random.below(METADATA_BLOCK);
      const bit = random.below(8);
      writeSync(fd, Uint8Array.of((image[at] ?? 0) ^ (1 << bit)), 0, 1, at);
      yield `seed ${random.seed}, bit ${bit} of byte ${at}`;
      writeSync(fd, image, at, 1, at);
    }
  } finally {
    closeSync(fd);
  }
}

function usedBlocks(image: Buffer): number[] {
  const used: number[] = [];
  for (let at = 0; at < image.length; at += METADATA_BLOCK) {
    if (image.subarray(at, at + METADATA_BLOCK).some((byte) => byte !== 0)) {
      used.push(at / METADATA_BLOCK);
    }
  }
  return used;
}

async function unlessRefused(result: Promise<ThinDifference>): Promise<ThinDifference | undefined> {
  try {
    return await result;
  } catch (error) {
    // A failure of the tool itself, or output that was refused; anything else is a bug.
    if (error instanceof ToolFailure) return undefined;
    if (error instanceof LvmsyncError && error.code === 'pool') return undefined;
    throw error;
  }
}

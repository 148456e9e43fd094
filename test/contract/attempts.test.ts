/** A turn that needs several attempts: what one of them saved the next does not save again. */

import assert from 'node:assert/strict';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ExtentList } from '../../src/device/extent.js';
import { ChainLaboratory, type ChainSpec, pointAt } from '../helpers/chain/chain-laboratory.js';
import {
  assertFails,
  assertSucceeds,
  type CliResult,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { runInProcess } from '../helpers/program/in-process.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';
import { dataRecordsOf, type StreamRecord } from '../helpers/streams/stream-parts.js';

const KiB = 1024;
const folder = scratchFolder();
const random = new Random();
/** Of a group of these streams. */
const GROUP_PAGES = 16;
const SPEC: ChainSpec = { size: 1024 * KiB, chunkSize: 4096, turns: 2, changedChunks: 160 };
let count = 0;

function laboratory(spec: Partial<ChainSpec> = {}): ChainLaboratory {
  const chain = new ChainLaboratory(join(folder, `${count++}`), { ...SPEC, ...spec }, random);
  chain.reset();
  return chain;
}

async function rollback({ destination, chain }: ChainLaboratory, steps: number): Promise<void> {
  assertSucceeds(await runInProcess(['rollback', '--steps', `${steps}`, destination, chain]));
}

/** Every place that the links of the turn to that point hold, a page at a time. */
function savedPages({ chain }: ChainLaboratory, point: number): number[] {
  const stem = pointAt(point).time.replaceAll(':', '-');
  const names = readdirSync(chain).filter((name) => name.startsWith(stem));
  return names.flatMap((name) =>
    dataRecordsOf(readFileSync(join(chain, name))).flatMap(({ offset, data }) =>
      Array.from({ length: Math.ceil(data.length / 4096) }, (_, page) => offset + 4096 * page),
    ),
  );
}

function linkOf({ chain }: ChainLaboratory, point: number): string {
  return join(chain, `${pointAt(point).time.replaceAll(':', '-')}.snapback`);
}

describe('a turn that is taken again', () => {
  test('needs room only for what its attempts have not saved', async (t) => {
    const size = 4096 * KiB;
    const chain = laboratory({ size, turns: 1, changedChunks: 768 });
    mkdirSync(chain.chain);
    const small = ['-t', 'tmpfs', '-o', 'size=4400k,mode=700', 'none', chain.chain];
    if (runTool(['mount', ...small]).status !== 0) return t.skip('no tmpfs can be mounted here');
    try {
      assertSucceeds(await chain.turn(0));
      const { groups } = chain.facts(1);
      const totalBytes = 768 * 4096;
      const take = async (part: number, ...more: string[]): Promise<CliResult> => {
        const isWhole = part === 1;
        const sent = groups.slice(0, Math.round(groups.length * part));
        const ending = isWhole ? 'end' : 'none';
        return lvmsync([...more, ...(await chain.words(1, { groups: sent, ending, totalBytes }))]);
      };
      for (const part of [0.02, 0.85, 0.3, 0.99]) {
        assertFails(await take(part), 14, /cut off/);
      }
      assertSucceeds(await take(1, '--dry-run'));
      assertSucceeds(await take(1));
      chain.assertHolds(1);
      assert.equal(chain.survey().links.length, 5);
      runTool(['mount', '-o', 'remount,size=16m', chain.chain]);
      await rollback(chain, 1);
      chain.assertHolds(0);
    } finally {
      runTool(['umount', chain.chain]);
    }
  });

  for (const ends of ['is undone', 'comes to its end, and is undone then']) {
    test(`saves each place once, and ${ends} byte for byte`, async () => {
      for (let round = 0; round < 8; round++) {
        const chain = laboratory();
        await chain.advanceTo(1);
        const { groups } = chain.facts(2);
        const attempts = 1 + random.below(4);
        for (let attempt = 0; attempt < attempts; attempt++) {
          // In any order, with other content, and cut within what the attempts before had saved.
          const places = random.distinct(1 + random.below(groups.length - 1), groups.length);
          const some = places.map((at) => scrambled(groups[at] ?? []));
          await chain.cutOff(2, some);
        }
        const isDone = ends !== 'is undone';
        if (isDone) assertSucceeds(await chain.turn(2));
        const pages = savedPages(chain, 2);
        assert.equal(new Set(pages).size, pages.length, 'no place is saved twice');
        if (isDone) {
          chain.assertHolds(2);
          assert.equal(pages.length, SPEC.changedChunks);
        }
        await rollback(chain, isDone ? 1 : 0);
        chain.assertHolds(1, `after ${attempts} attempts`);
        assertSucceeds(await runInProcess(['rollback', '--redo', chain.destination, chain.chain]));
        assertSucceeds(isDone ? await runInProcess(back(chain, 2)) : await chain.turn(2));
        chain.assertHolds(isDone ? 0 : 2);
      }
    });
  }

  test('has what was discarded saved once', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    await chain.cutOff(2, 4);
    const named = chain
      .facts(2)
      .groups.flat()
      .map(({ offset }) => offset);
    const half = named.filter((offset) => offset < SPEC.size / 2).length;
    const discards = new ExtentList(Float64Array.of(SPEC.size / 2, SPEC.size / 2));
    const words = ['--apply', '-', '--chain', chain.chain, chain.destination];
    for (const part of [2, 1]) {
      const groups = [
        chain
          .facts(2)
          .groups.flat()
          .slice(0, half / part),
      ];
      const path = await chain.stream(2, { kind: 'wire', groups, discards, ending: 'none' });
      assertFails(lvmsync(words, { input: readFileSync(path) }), 14, /cut off/);
      assert.ok(
        readFileSync(chain.destination)
          .subarray(SPEC.size / 2)
          .every((byte) => byte === 0),
      );
    }
    const pages = savedPages(chain, 2);
    assert.equal(new Set(pages).size, pages.length, 'no place is saved twice');
    assert.equal(pages.filter((offset) => offset >= SPEC.size / 2).length, SPEC.size / 2 / 4096);
    await rollback(chain, 0);
    chain.assertHolds(1);
  });

  test('gives a file that an attempt made longer its former size', async () => {
    const chain = laboratory({ turns: 1 });
    await chain.advanceTo(1);
    const before = readFileSync(chain.destination);
    const attributes = {
      fromPoint: pointAt(1).uuid,
      fromTime: pointAt(1).time,
      toPoint: pointAt(2).uuid,
      toTime: pointAt(2).time,
    };
    const deviceSize = before.length + 64 * KiB;
    const at = (offset: number): StreamRecord => ({ offset, data: random.bytes(8 * KiB) });
    const longer = { attributes, deviceSize };
    const groups = [[at(0)], [at(before.length)], [at(before.length + 32 * KiB), at(96 * KiB)]];
    for (const part of [2, 1, 3]) {
      const words = await chain.words(1, {
        ...longer,
        groups: groups.slice(0, part),
        ending: part === 3 ? 'end' : 'none',
      });
      const result = await runInProcess(words);
      if (part === 3) assertSucceeds(result);
      else assertFails(result, 14, /cut off/);
    }
    assert.equal(statSync(chain.destination).size, deviceSize);
    const after = readFileSync(chain.destination);
    await rollback(chain, 1);
    assert.ok(readFileSync(chain.destination).equals(before));
    assertSucceeds(await runInProcess(['rollback', '--redo', chain.destination, chain.chain]));
    assert.ok(readFileSync(chain.destination).equals(after));
  });

  const lastGroups: readonly [what: string, spoil: (link: string) => void, savedAgain: number][] = [
    ['whole, and was not used', () => undefined, 0],
    ['torn', (link) => truncateSync(link, statSync(link).size - 5000), GROUP_PAGES],
    [
      'damaged',
      (link) => {
        const bytes = readFileSync(link);
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 20_000) ^ 1, bytes.length - 20_000);
        writeFileSync(link, bytes);
      },
      GROUP_PAGES,
    ],
  ];
  for (const [what, spoil, savedAgain] of lastGroups) {
    test(`counts on an attempt whose last group is ${what} as far as undoing it will`, async () => {
      const chain = laboratory();
      await chain.advanceTo(1);
      await chain.cutOff(2, 4);
      // As a run leaves it that is killed before it has flushed its last group.
      const state = readFileSync(chain.destination);
      for (const { offset, data } of lastGroupOf(linkOf(chain, 2))) data.copy(state, offset);
      writeFileSync(chain.destination, state);
      chain.forgetAttempt();
      spoil(linkOf(chain, 2));
      assertSucceeds(await chain.turn(2));
      const second = linkOf(chain, 2).replace('.snapback', '.2.snapback');
      const records = dataRecordsOf(readFileSync(second));
      assert.equal(pagesIn(records), SPEC.changedChunks - 4 * GROUP_PAGES + savedAgain);
      await rollback(chain, 1);
      chain.assertHolds(1);
    });
  }

  test('saves all again where an attempt is damaged, which then cannot be undone', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    await chain.cutOff(2, 5);
    const link = linkOf(chain, 2);
    const bytes = readFileSync(link);
    bytes.writeUInt8(bytes.readUInt8(40_000) ^ 1, 40_000);
    writeFileSync(link, bytes);
    assertSucceeds(await chain.turn(2));
    const second = link.replace('.snapback', '.2.snapback');
    assert.equal(pagesIn(dataRecordsOf(readFileSync(second))), SPEC.changedChunks);
    assertFails(
      await runInProcess(back(chain, 1)),
      15,
      /this group was used|its first group is damaged or incomplete/,
    );
  });

  test('saves all again on another destination, which --force takes', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    const other = `${chain.destination}-2`;
    copyFileSync(chain.destination, other);
    await chain.cutOff(2, 5);
    const words = [...(await chain.words(2)).slice(0, -1), other];
    assertSucceeds(await runInProcess(['--force', ...words]));
    const second = linkOf(chain, 2).replace('.snapback', '.2.snapback');
    assert.equal(pagesIn(dataRecordsOf(readFileSync(second))), SPEC.changedChunks);
    rmSync(other);
  });
});

/** Former content. Which of the groups under way is saved last is a matter of chance. */
function lastGroupOf(link: string): readonly StreamRecord[] {
  const records = dataRecordsOf(readFileSync(link)).reverse();
  const end = records.findIndex((_, i) => pagesIn(records.slice(0, i + 1)) === GROUP_PAGES);
  return records.slice(0, end + 1);
}

function pagesIn(records: readonly StreamRecord[]): number {
  return records.reduce((sum, { data }) => sum + data.length, 0) / 4096;
}

function scrambled(records: readonly StreamRecord[]): readonly StreamRecord[] {
  return records.map(({ offset, data }) => ({ offset, data: random.bytes(data.length) }));
}

function back({ destination, chain }: ChainLaboratory, steps: number): string[] {
  return ['rollback', '--steps', `${steps}`, destination, chain];
}

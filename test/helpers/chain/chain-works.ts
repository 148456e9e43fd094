/** What is done to a chain, and what has to be possible after it was cut off at any moment. */

import assert from 'node:assert/strict';
import { readRecord } from '../../../src/chain/record.js';
import { assertSucceeds } from '../program/cli.js';
import { runInProcess } from '../program/in-process.js';
import type { Random } from '../random.js';
import { type ChainLaboratory, pointAt } from './chain-laboratory.js';

/** It leads from one point to another; -1 is before the chain. */
export interface ChainWork {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  prepare(chain: ChainLaboratory): Promise<void>;
  words(chain: ChainLaboratory): Promise<readonly string[]>;
}

const rollback = ({ destination, chain }: ChainLaboratory, ...words: string[]): string[] => [
  'rollback',
  ...words,
  destination,
  chain,
];

async function run(words: readonly string[]): Promise<void> {
  assertSucceeds(await runInProcess(words));
}

/** A full copy, the last of `turns` turns, a rollback from there to `target`, and that taken back. */
export function chainWorks(turns: number, target: number): readonly ChainWork[] {
  const back = (chain: ChainLaboratory): string[] => rollback(chain, '--to', pointAt(target).time);
  return [
    {
      name: 'full copy',
      from: -1,
      to: 0,
      prepare: async (chain) => chain.reset(),
      words: (chain) => chain.words(0),
    },
    {
      name: 'turn',
      from: turns - 1,
      to: turns,
      prepare: (chain) => chain.advanceTo(turns - 1),
      words: (chain) => chain.words(turns),
    },
    {
      name: `rollback to ${target}`,
      from: turns,
      to: target,
      prepare: (chain) => chain.advanceTo(turns),
      words: async (chain) => back(chain),
    },
    {
      name: `redo from ${target}`,
      from: target,
      to: turns,
      prepare: async (chain) => {
        await chain.advanceTo(turns);
        await run(back(chain));
      },
      words: async (chain) => rollback(chain, '--redo'),
    },
  ];
}

/** What the record says has to be true; and whatever was cut off can be finished, or taken back. */
export async function recover(
  work: ChainWork,
  chain: ChainLaboratory,
  random: Random,
): Promise<void> {
  const record = readRecord(chain.chain);
  const isAt = (point: number): boolean =>
    record?.doing === null && record.point?.uuid === pointAt(point).uuid;
  if (work.from >= 0) {
    const points = [work.from, work.to].map((point) => pointAt(point).uuid);
    assert.ok(points.includes(record?.point?.uuid ?? ''), `recorded: ${record?.point?.uuid}`);
  }
  if (isAt(work.to)) chain.assertHolds(work.to, 'where the record says so');
  else {
    if (isAt(work.from)) chain.assertHolds(work.from, 'where nothing was begun');
    if (record === undefined) chain.assertUntouched();
    const isBegun = record !== undefined && record.doing !== null;
    if (isBegun && random.below(2) === 0) await takeBack(work, chain);
    await run(await work.words(chain));
    chain.assertHolds(work.to, 'after the same command');
  }
  await goThrough(chain, work.to);
  if (!work.name.startsWith('rollback')) return;
  // However often it was begun.
  await run(rollback(chain, '--redo'));
  chain.assertHolds(work.from, 'after the rollback was taken back');
}

async function takeBack(work: ChainWork, chain: ChainLaboratory): Promise<void> {
  if (work.name === 'turn') await run(rollback(chain, '--steps', '0'));
  else if (work.name.startsWith('rollback')) await run(rollback(chain, '--redo'));
  else return;
  chain.assertHolds(work.from, 'after it was taken back');
}

/** Back to the first point, step by step, and forward again. */
async function goThrough(chain: ChainLaboratory, from: number): Promise<void> {
  for (let point = from - 1; point >= 0; point--) {
    await run(rollback(chain, '--steps', '1'));
    chain.assertHolds(point, 'step by step');
  }
  for (let point = 1; point <= from; point++) {
    await run(rollback(chain, '--redo'));
    chain.assertHolds(point, 'forward again');
  }
}

/** What a chain left behind that nothing goes back to: removed where --keep is given, named where not. */

import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ChainLaboratory } from '../helpers/chain/chain-laboratory.js';
import { assertSucceeds, type CliResult, lvmsync, runTool } from '../helpers/program/cli.js';
import { runInProcess } from '../helpers/program/in-process.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const random = new Random();
const spec = { size: 64 * 1024, chunkSize: 4096, turns: 3, changedChunks: 4 };
let count = 0;

async function advanced(): Promise<ChainLaboratory> {
  const chain = new ChainLaboratory(join(folder, `${count++}`), spec, random);
  await chain.advanceTo(3);
  return chain;
}

async function take(chain: ChainLaboratory, point: number, ...more: string[]): Promise<CliResult> {
  const result = await runInProcess([...more, ...(await chain.words(point))]);
  assertSucceeds(result);
  chain.assertHolds(point);
  return result;
}

async function rollback(chain: ChainLaboratory, ...words: string[]): Promise<void> {
  assertSucceeds(await runInProcess(['rollback', ...words, chain.destination, chain.chain]));
}

const snapbacks = ({ chain }: ChainLaboratory): string[] =>
  readdirSync(chain).filter((name) => name.endsWith('.snapback'));

const linkAt = (hour: number): string => `2026-11-23T0${hour}-00-00Z.snapback`;

describe('F43: the links of a chain that was begun anew', () => {
  test('F43: are removed under --keep, and nothing else is', async () => {
    const chain = await advanced();
    const other = await advanced();
    const foreign = '2026-11-20T00-00-00Z.snapback';
    copyFileSync(join(other.chain, linkAt(3)), join(chain.chain, foreign));
    await take(chain, 0, '--force', '--keep', '5');
    assert.deepEqual(snapbacks(chain), [foreign]);
    assert.deepEqual(chain.survey().unused, [foreign]);
    await take(chain, 1, '--keep', '5');
    await rollback(chain, '--steps', '1');
    chain.assertHolds(0);
  });

  test('F43: are removed by the next turn with --keep, whatever was gone by then', async () => {
    for (const gone of [[], [1], [1, 2], [1, 2, 3]]) {
      const chain = await advanced();
      await take(chain, 0, '--force');
      assert.equal(snapbacks(chain).length, 3);
      // As a power cut leaves it in the middle of the removal.
      for (const hour of gone) rmSync(join(chain.chain, linkAt(hour)));
      await take(chain, 1);
      await take(chain, 2, '--keep', '5');
      assert.equal(snapbacks(chain).length, 2);
      assert.ok(!('leftover' in JSON.parse(recordOf(chain))));
      await rollback(chain, '--steps', '2');
      chain.assertHolds(0);
    }
  });

  test('F43: are named with the command that removes them where there is no --keep', async () => {
    const chain = await advanced();
    const { stderr } = await take(chain, 0, '--force');
    assert.match(
      stderr,
      /3 files in the chain directory \(.*\) can be removed: no restore point needs them/,
    );
    await take(chain, 1);
    const shown = String(lvmsync(['chain', chain.chain]).stdout);
    const [, command = ''] = /^ +useless +3 files .*, or: (rm .*)$/m.exec(shown) ?? [];
    assert.equal(runTool(['sh', '-ec', command]).status, 0, shown);
    assert.deepEqual(snapbacks(chain), [chain.survey().links[0]?.name]);
    await rollback(chain, '--steps', '1');
    chain.assertHolds(0);
  });
});

describe('F43: the folder of a rollback that cannot be taken back any more', () => {
  for (const foreign of [false, true]) {
    test(`F43: is removed under --keep${foreign ? ', but for what is not of the chain' : ''}`, async () => {
      const chain = await advanced();
      await rollback(chain, '--steps', '2');
      const [undone = ''] = readdirSync(chain.chain).filter((name) => name.startsWith('undone-'));
      const path = join(chain.chain, undone);
      if (foreign) writeFileSync(join(path, 'notes'), 'of the administrator');
      await take(chain, 2);
      assert.ok(existsSync(join(path, linkAt(3))));
      await take(chain, 3, '--keep', '5');
      assert.deepEqual(existsSync(path) ? readdirSync(path) : [], foreign ? ['notes'] : []);
      assert.equal(existsSync(path), foreign);
      await rollback(chain, '--steps', '3');
      chain.assertHolds(0);
      await rollback(chain, '--redo');
      chain.assertHolds(3);
    });
  }
});

function recordOf({ chain }: ChainLaboratory): string {
  return String(runTool(['cat', join(chain, 'chain.json')]).stdout);
}

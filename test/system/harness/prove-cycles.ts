// Inside the guest: what the scenarios of cycles of thick and of thin volumes have in common.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { Campaign, campaignSize } from '../../helpers/faults/campaign.js';
import { assertFails } from '../../helpers/program/cli.js';
import { runInProcess } from '../../helpers/program/in-process.js';
import { Random } from '../../helpers/random.js';
import { type CycleKinds, CycleLaboratory } from './cycles.js';
import { useOwnStateFolder } from './thin.js';

export interface CycleProof extends CycleKinds {
  /** Further tests of the same laboratory; nothing writes to its origin any more. */
  readonly further?: (laboratory: () => CycleLaboratory, random: Random) => void;
}

/** Goes to another point of the chain, by the words of a rollback. */
export async function rollBack(laboratory: CycleLaboratory, ...words: string[]): Promise<string> {
  const { copy, chain } = laboratory;
  const { status, stderr } = await runInProcess(['rollback', ...words, copy.path, chain]);
  assert.equal(status, 0, stderr);
  return laboratory.hash();
}

export function proveCycles(kind: 'thick' | 'thin', proof: CycleProof = {}): void {
  useOwnStateFolder();
  const turns = campaignSize({ commit: 5, release: 30 });

  describe(`cycles of a ${kind} volume that is written all the time`, () => {
    const random = new Random();
    let laboratory: CycleLaboratory;
    const hashes: string[] = [];
    before(() => {
      laboratory = new CycleLaboratory(kind, random, proof);
      laboratory.startWriter();
    });
    after(() => laboratory.destroy());

    test('a first turn without --init is refused, before there is a snapshot', () => {
      assertFails(laboratory.turn(), EXIT.destinationUnfit, /there is no history in /);
      assert.deepEqual(laboratory.snapshots(), []);
    });

    test('after each turn the copy equals the new snapshot, the only one', async (t) => {
      const campaign = new Campaign(t, `T18 successive turns of a cycle, ${kind}`, random.seed);
      for (let turn = 0; turn < turns; turn++) {
        const words = turn === 0 ? ['--init'] : [];
        await campaign.run(`turn ${turn}`, () => hashes.push(laboratory.turnSucceeds(...words)));
      }
      await laboratory.stopWriter();
      campaign.finish(turns);
      assert.equal(new Set(hashes).size, turns, 'each turn led to another state');
    });

    test('a second --init is refused', () => {
      const refused = laboratory.turn('--init');
      assertFails(refused, EXIT.destinationUnfit, /it already has a history/);
      assert.equal(laboratory.hash(), hashes.at(-1));
    });

    test('a rollback, step by step, leads back to each of their states', async (t) => {
      const campaign = new Campaign(t, `T18 states gone back to, ${kind}`, random.seed);
      for (const [index, hash] of hashes.slice(0, -1).reverse().entries()) {
        await campaign.run(`step ${index + 1}`, async () => {
          assert.equal(await rollBack(laboratory, '--steps', '1'), hash);
        });
      }
      campaign.finish(turns - 1);
    });

    test('a turn from a state of which there is no snapshot any more is refused, and says what to do', () => {
      const refused = laboratory.turn();
      assertFails(refused, EXIT.sourceUnfit, /its snapshot of .* no longer exists/);
      assert.match(refused.stderr, /lvmsync rollback --redo .*--compare/);
      assert.equal(laboratory.snapshots().length, 1);
      laboratory.turnSucceeds('--init', '--force');
    });

    proof.further?.(() => laboratory, random);
  });
}

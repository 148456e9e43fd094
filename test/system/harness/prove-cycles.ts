// Inside the guest: what the scenarios of cycles of thick and of thin volumes have in common.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { campaignSize } from '../../helpers/campaign.js';
import { assertRefused, EXIT, lvmsync } from './cli.js';
import { Random } from './content.js';
import { CycleLaboratory } from './cycles.js';
import { useOwnStateFolder } from './thin.js';

/** `host` is put before the destination's path. */
export function proveCycles(kind: 'thick' | 'thin', host = ''): void {
  useOwnStateFolder();
  const turns = campaignSize({ commit: 10, release: 30 });

  describe(`cycles of a ${kind} volume that is written all the time`, () => {
    let laboratory: CycleLaboratory;
    const hashes: string[] = [];
    before(() => {
      laboratory = new CycleLaboratory(kind, new Random(), host);
      laboratory.startWriter();
    });
    after(() => laboratory.destroy());

    test('a first turn without --init is refused, before there is a snapshot', () => {
      assertRefused(laboratory.turn(), EXIT.destinationUnfit, /no chain in .* says what it holds/);
      assert.deepEqual(laboratory.snapshots(), []);
    });

    test(`after each of ${turns} turns the copy equals the new snapshot, the only one`, async () => {
      for (let turn = 0; turn < turns; turn++) {
        hashes.push(laboratory.turnSucceeds(...(turn === 0 ? ['--init'] : [])));
      }
      await laboratory.stopWriter();
      assert.equal(new Set(hashes).size, turns, 'each turn led to another state');
    });

    test('a second --init is refused', () => {
      const refused = laboratory.turn('--init');
      assertRefused(refused, EXIT.destinationUnfit, /its chain has begun/);
      assert.equal(laboratory.hash(), hashes.at(-1));
    });

    test('a rollback, step by step, leads back to each of their states', () => {
      for (const hash of hashes.slice(0, -1).reverse()) {
        const words = ['rollback', '--steps', '1', laboratory.copy.path, laboratory.chain];
        const { status, stderr } = lvmsync(words);
        assert.equal(status, 0, stderr);
        assert.equal(laboratory.hash(), hash);
      }
    });

    test('a turn from a state of which there is no snapshot any more is refused, and says what to do', () => {
      const refused = laboratory.turn();
      assertRefused(refused, EXIT.sourceUnfit, /its snapshot of .* is gone/);
      assert.match(refused.stderr, /--init --force/);
      assert.equal(laboratory.snapshots().length, 1);
      laboratory.turnSucceeds('--init', '--force');
    });
  });
}

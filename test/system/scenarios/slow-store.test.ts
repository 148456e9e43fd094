// T19: turns of a cycle whose COW stores are so slow that their lists lag behind what the kernel counts.

import { after, before, describe, test } from 'node:test';
import { Campaign, campaignSize } from '../../helpers/faults/campaign.js';
import { Random } from '../../helpers/random.js';
import { CycleLaboratory } from '../harness/cycles.js';
import { useOwnStateFolder } from '../harness/thin.js';

/** Milliseconds a write; the first is that of each run of the tests. */
const DELAYS = campaignSize({ commit: 1, release: 4 }) === 1 ? [50] : [50, 100, 200, 400];
const TURNS_EACH = campaignSize({ commit: 2, release: 5 });

for (const storeDelay of DELAYS) {
  describe(`a cycle of a volume with six writers, whose stores take ${storeDelay} ms a write`, () => {
    const random = new Random();
    let laboratory: CycleLaboratory;
    before(() => {
      useOwnStateFolder();
      laboratory = new CycleLaboratory('thick', random, { storeDelay, writers: 6 });
      laboratory.turnSucceeds('--init');
      laboratory.startWriter();
    });
    after(() => laboratory.destroy());

    test('F32: each turn ends with a copy that equals its snapshot', async (t) => {
      const campaign = new Campaign(t, `T19 turns with slow stores, ${storeDelay} ms`, random.seed);
      for (let turn = 0; turn < TURNS_EACH; turn++) {
        await campaign.run(`turn ${turn}`, () => laboratory.turnSucceeds());
      }
      campaign.finish(TURNS_EACH);
    });
  });
}

// T20: the world around a run is drawn at random, and each run is judged by comparing whole devices.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Campaign, campaignSize } from '../../helpers/faults/campaign.js';
import { Random } from '../../helpers/random.js';
import { Surroundings } from '../harness/surroundings.js';
import { type Case, describeCase, drawCase, SCENES } from '../harness/surroundings-case.js';
import { contentOf, writeContent } from '../harness/whole-device.js';

const random = new Random();
let laboratory: Surroundings;
before(() => {
  laboratory = new Surroundings(random);
});
after(() => laboratory.destroy());

const HEALTHY: Case = {
  seed: 0,
  scene: SCENES[0],
  reads: 'origin',
  command: 'sync',
  place: 'linear volume',
  change: 'none',
  activity: 'none',
  during: undefined,
  flawed: false,
};

test('a copy in which one byte is wrong is found out', async () => {
  await laboratory.carryOut(HEALTHY);
  assert.equal(laboratory.successes, 1);
  laboratory.sabotage = ({ path }) => {
    const [first = 0] = contentOf(path);
    writeContent(path, Buffer.from([first ^ 1]));
  };
  try {
    await assert.rejects(laboratory.carryOut(HEALTHY), /1 sectors differ, the first at 0/);
  } finally {
    laboratory.sabotage = () => undefined;
  }
});

/** Milliseconds that a campaign of each run of the tests may take, however busy the machine is. */
const SHORT = 90_000;

test('whatever surrounds a run, status 0 means that the copy is right', async (t) => {
  // Before a release in 20 rounds: see scripts/campaigns.
  const cases = campaignSize({ commit: 40, release: 100 });
  const until = Date.now() + campaignSize({ commit: SHORT, release: Number.POSITIVE_INFINITY });
  const campaign = new Campaign(t, 'T20 surroundings', random.seed);
  for (let index = 0; index < cases && Date.now() < until; index++) {
    const what = drawCase(random.seed + index);
    await campaign.run(describeCase(what), () => laboratory.carryOut(what));
  }
  t.diagnostic(`${laboratory.successes} runs succeeded`);
  campaign.finish(campaignSize({ commit: 5, release: cases }));
});

/** Turns of a chain as its receiver takes them, on files. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ChainLaboratory, type ChainSpec, pointAt } from '../helpers/chain-laboratory.js';
import { assertSucceeds, lvmsync } from '../helpers/cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const random = new Random();
const SPEC: ChainSpec = { size: 1024 * 1024, chunkSize: 4096, turns: 4, changedChunks: 60 };
let count = 0;

function laboratory(spec: Partial<ChainSpec> = {}): ChainLaboratory {
  return new ChainLaboratory(join(folder, `${count++}`), { ...SPEC, ...spec }, random);
}

describe('a chain', () => {
  test('that does not exist is an answer, not an error', () => {
    const chain = laboratory();
    const { exists, point, incomplete, links } = chain.survey();
    assert.deepEqual(
      { exists, point, incomplete, links },
      {
        exists: false,
        point: null,
        incomplete: false,
        links: [],
      },
    );
    assert.ok(!existsSync(chain.chain));
    const { stdout } = lvmsync(['chain', chain.chain]);
    assert.match(stdout.toString(), /is not there; one begins with a full copy under --init/);
  });

  test('begins with a full copy, which keeps no snapback', async () => {
    const chain = laboratory();
    assertSucceeds(await chain.turn(0));
    chain.assertHolds(0);
    assert.deepEqual(readdirSync(chain.chain), ['chain.json']);
    assert.equal(statSync(chain.chain).mode & 0o777, 0o700);
    assert.equal(statSync(join(chain.chain, 'chain.json')).mode & 0o777, 0o600);
    const { exists, point, incomplete, mismatch } = chain.survey();
    assert.deepEqual(
      { exists, point, incomplete, mismatch },
      {
        exists: true,
        point: pointAt(0),
        incomplete: false,
        mismatch: null,
      },
    );
  });

  test('grows by a snapback with each turn, which names the one before it', async () => {
    const chain = laboratory();
    await chain.advanceTo(3);
    const { point, points, links, gap } = chain.survey();
    assert.deepEqual(point, pointAt(3));
    assert.equal(gap, null);
    assert.deepEqual(
      points.map(({ uuid }) => uuid),
      ['point-3', 'point-2', 'point-1', 'point-0'],
    );
    assert.deepEqual(
      links.map(({ name }) => name),
      [3, 2, 1].map((hour) => `2026-11-23T0${hour}-00-00Z.snapback`),
    );
    assert.deepEqual(
      links.map(({ previous }) => previous),
      [...links.slice(1).map(({ streamId }) => streamId), null],
    );
  });
});

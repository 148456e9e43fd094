/** What `chain` prints of a time is what `rollback --to` reads, wherever the host is. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ChainLaboratory, pointAt } from '../helpers/chain/chain-laboratory.js';
import { assertSucceeds, type CliResult, lvmsync } from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const spec = { size: 64 * 1024, chunkSize: 4096, turns: 3, changedChunks: 4 };
const chain = new ChainLaboratory(join(scratchFolder(), 'times'), spec, new Random());
await chain.advanceTo(3);

const run = (zone: string, ...words: string[]): CliResult => {
  const result = lvmsync(words, { env: { ...process.env, TZ: zone } });
  assertSucceeds(result);
  return result;
};

/** What a rollback to that time would do, as it says itself. */
const rehearse = (zone: string, time: string): string =>
  String(run(zone, 'rollback', '--dry-run', '--to', time, chain.destination, chain.chain).stdout);

const ZONES: readonly [zone: string, second: string][] = [
  ['Europe/Berlin', '2026-11-23T03:00:00+01:00'],
  ['Asia/Kolkata', '2026-11-23T07:30:00+05:30'],
  ['America/St_Johns', '2026-11-22T22:30:00-03:30'],
  ['UTC', '2026-11-23T02:00:00Z'],
];

describe('F6: the times of a chain', () => {
  for (const [zone, second] of ZONES) {
    test(`F6: are those of the host in ${zone}, and can be given to --to as they are printed`, () => {
      const shown = String(run(zone, 'chain', chain.chain).stdout);
      const times = [...shown.matchAll(/^ +\d+ {2}(\S+) /gm)].map(([, time = '']) => time);
      assert.equal(times.length, 4);
      assert.equal(times[1], second);
      assert.deepEqual(
        times.map((time) => Date.parse(time)),
        [3, 2, 1, 0].map((number) => Date.parse(pointAt(number).time)),
      );
      assert.ok(!/T\d\d:00:00Z/.test(shown) || zone === 'UTC', shown);
      for (const given of [second, second.slice(0, 16), second.replace('T', ' ').slice(0, 16)]) {
        assert.ok(rehearse(zone, given).includes(` back to ${second}, 1 h earlier\n`), given);
      }
    });
  }

  test('F6: a rollback says how it reads --to, and how far the restore point is from that', () => {
    const said = rehearse('Europe/Berlin', '2026-11-23T03:45');
    assert.match(said, / back to 2026-11-23T03:00:00\+01:00, 1 h earlier$/m);
    const until = 'means 2026-11-23T03:45:59+01:00 or earlier';
    assert.ok(
      said.includes(`  --to 2026-11-23T03:45 ${until}: this restore point is 45 min older\n`),
      said,
    );
  });

  test('F6: what programs read stays in UTC', () => {
    const { points } = JSON.parse(
      String(run('Europe/Berlin', 'chain', '--json', chain.chain).stdout),
    );
    assert.deepEqual(
      points.map(({ time }: { time: string }) => time),
      [3, 2, 1, 0].map((number) => pointAt(number).time),
    );
  });
});

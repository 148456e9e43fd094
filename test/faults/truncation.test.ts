/** T1: a stream that ends at any byte. */

import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { lvmsync } from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';
import { applyToMemory } from '../helpers/streams/apply-stream.js';
import {
  cutsOf,
  DAMAGE_DEVICE_SIZE,
  DamagedDestination,
  exitStatusOf,
  forEachCut,
  randomGroups,
} from '../helpers/streams/damaged-streams.js';
import {
  CLASSIC_HANDSHAKE,
  classicStream,
  framedStream,
  type StreamRecord,
} from '../helpers/streams/stream-parts.js';

const folder = scratchFolder('memory');
const random = new Random();
const before = random.bytes(DAMAGE_DEVICE_SIZE);
/** About 20 KB a stream. */
const shape = { groups: 6, recordsPerGroup: 6 };

// Each of them waits for threads most of the time.
describe('a stream that is cut at any byte', { concurrency: 6 }, () => {
  const streams = [
    { kind: 'file', sorted: false },
    { kind: 'file', sorted: true },
    { kind: 'wire', sorted: false },
    { kind: 'wire', sorted: true },
  ] as const;
  for (const { kind, sorted } of streams) {
    const what = `${kind}, ${sorted ? 'sorted' : 'in any order'}`;
    test(`of kind ${what}, is refused, and only whole groups are written`, async (context) => {
      const groups = randomGroups(random, { ...shape, sorted });
      const destination = new DamagedDestination(before, groups);
      const path = join(folder, `${kind}-${sorted}`);
      const facts = { kind, sorted, deviceSize: DAMAGE_DEVICE_SIZE, groups } as const;
      const stream = await framedStream(path, facts);
      const whole = await applyToMemory(path, destination.open());
      assert.equal(whole.error, undefined);
      assert.ok(destination.holdsAll(whole.destination));
      await sweep(context, what, { path, stream }, async (cut) => {
        const { form, error, destination: after } = await applyToMemory(path, destination.open());
        if (kind === 'file' && cut === CLASSIC_HANDSHAKE.length) {
          // What is left is also what the original writes when nothing changed.
          assert.deepEqual(form, { form: 'classic', leftover: false, empty: true });
          assert.equal(destination.groupsIn(after), 0);
          return;
        }
        assert.ok([14, 15].includes(exitStatusOf(error)), `status ${exitStatusOf(error)}`);
        assert.ok(destination.groupsIn(after) >= 0, 'a part of a group was written');
      });
    });
  }

  test('a snapback, gives back a prefix of its groups and is refused only if that is empty', async (context) => {
    const groups = randomGroups(random, shape);
    const destination = new DamagedDestination(before, groups);
    const path = join(folder, 'snapback');
    const facts = { kind: 'snapback', deviceSize: DAMAGE_DEVICE_SIZE, groups } as const;
    const stream = await framedStream(path, facts);
    let last = groups.length;
    let torn = 0;
    let cuts = 0;
    await sweep(context, 'snapback', { path, stream }, async (cut) => {
      const { error, end, destination: after } = await applyToMemory(path, destination.open());
      cuts++;
      const prefix = destination.groupsIn(after);
      assert.ok(prefix >= 0 && prefix <= last, `${prefix} groups of ${cut} bytes, ${last} of more`);
      last = prefix;
      if (end?.tornTail !== undefined) torn++;
      if (error === undefined) return;
      assert.ok([14, 15].includes(exitStatusOf(error)));
      assert.equal(prefix, 0, `refused after ${prefix} groups`);
    });
    assert.ok(torn > cuts / 2, `${torn} of ${cuts} had a torn tail`);
  });

  test('as the original writes it, is refused inside a record; between two it cannot be told', async (context) => {
    const records = randomGroups(random, shape).flat();
    const path = join(folder, 'classic');
    const stream = classicStream(records);
    const destination = new DamagedDestination(before, [records]);
    const ends = recordEnds(records);
    writeFileSync(path, stream);
    await sweep(context, 'classic', { path, stream }, async (cut) => {
      const { error } = await applyToMemory(path, destination.open());
      if (ends.has(cut)) assert.equal(error, undefined);
      else assert.equal(exitStatusOf(error), 14);
    });
  });
});

test('a long stream that is cut anywhere is refused by the program, which says so', async (context) => {
  const path = join(folder, 'long');
  const device = join(folder, 'device');
  const size = 64 * 2 ** 20;
  const data = randomFillSync(Buffer.alloc(2 ** 20));
  const zeros = Buffer.alloc(data.length);
  const groups = Array.from({ length: size / 2 ** 20 }, (_, i) => [{ offset: i * 2 ** 20, data }]);
  const { length } = await framedStream(path, { deviceSize: size, sorted: true, groups });
  const campaign = new Campaign(context, 'T1 cuts of 64 MiB, by the program', random.seed);
  const cuts = random.distinct(campaignSize({ commit: 12, release: 10_000 }), length);
  const fd = openSync(path, 'r+');
  for (const cut of cuts.sort((a, b) => b - a)) {
    ftruncateSync(fd, cut);
    writeFileSync(device, Buffer.alloc(0));
    await campaign.run(`cut at ${cut}`, () => {
      const { status, stderr } = lvmsync(['--apply', path, device]);
      assert.equal(status, 14, stderr);
      assert.match(stderr, /^FATAL ERROR: .*(cut off|empty)/m);
      const written = readFileSync(device);
      for (let at = 0; at < written.length; at += data.length) {
        const piece = written.subarray(at, at + data.length);
        assert.ok(
          piece.equals(data) || piece.equals(zeros.subarray(0, piece.length)),
          `group at ${at}`,
        );
      }
    });
  }
  closeSync(fd);
  campaign.finish(cuts.length);
});

/** Where a classic stream of these records can end without a sign. */
function recordEnds(records: readonly StreamRecord[]): Set<number> {
  const ends = new Set<number>([CLASSIC_HANDSHAKE.length]);
  let position = CLASSIC_HANDSHAKE.length;
  for (const { data } of records) {
    position += 12 + data.length;
    ends.add(position);
  }
  return ends;
}

async function sweep(
  context: TestContext,
  what: string,
  { path, stream }: { readonly path: string; readonly stream: Buffer },
  check: (cut: number) => Promise<void>,
): Promise<void> {
  const campaign = new Campaign(context, `T1 cut anywhere: ${what}`, random.seed);
  const cuts = cutsOf(stream.length, random);
  await forEachCut(path, cuts, (cut) =>
    campaign.run(`cut at ${cut} of ${stream.length}`, () => check(cut)),
  );
  campaign.finish(cuts.length);
}

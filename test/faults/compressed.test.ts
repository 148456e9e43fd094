/** T1 and T2 of compressed streams: cut at every byte, and with every bit flipped. */

import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Campaign } from '../helpers/faults/campaign.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';
import { applyToMemory } from '../helpers/streams/apply-stream.js';
import {
  bitsOf,
  cutsOf,
  DAMAGE_DEVICE_SIZE,
  DamagedDestination,
  exitStatusOf,
  forEachCut,
  type GroupShape,
  randomGroups,
} from '../helpers/streams/damaged-streams.js';
import { framedStream } from '../helpers/streams/stream-parts.js';

const folder = scratchFolder('memory');
const random = new Random();
const before = random.bytes(DAMAGE_DEVICE_SIZE);

async function compressedStream(name: string, shape: GroupShape) {
  const groups = randomGroups(random, shape);
  // Every second group shrinks; the others are stored.
  for (const [number, group] of groups.entries()) {
    if (number % 2 === 0) for (const { data } of group) data.fill(number + 1, 8);
  }
  const path = join(folder, name);
  const facts = { deviceSize: DAMAGE_DEVICE_SIZE, groups, compress: true };
  const stream = await framedStream(path, facts);
  return { path, stream, destination: new DamagedDestination(before, groups) };
}

describe('a compressed stream', { concurrency: 2 }, () => {
  test('that is cut at any byte is refused, and only whole groups are written', async (context) => {
    const { path, stream, destination } = await compressedStream('cut', {
      groups: 4,
      recordsPerGroup: 4,
    });
    const whole = await applyToMemory(path, destination.open());
    assert.equal(whole.error, undefined);
    assert.ok(destination.holdsAll(whole.destination));
    const campaign = new Campaign(context, 'T1 cut anywhere: compressed', random.seed);
    const cuts = cutsOf(stream.length, random);
    await forEachCut(path, cuts, (cut) =>
      campaign.run(`cut at ${cut} of ${stream.length}`, async () => {
        const { form, error, destination: after } = await applyToMemory(path, destination.open());
        assert.ok(destination.groupsIn(after) >= 0, 'a part of a group was written');
        // The frame of the first line alone is a stream without changes, as the original writes it.
        if (form?.form === 'classic' && form.empty) return;
        assert.ok([14, 15].includes(exitStatusOf(error)), `status ${exitStatusOf(error)}`);
      }),
    );
    campaign.finish(cuts.length);
  });

  test('in which any bit is flipped is refused, or gives the same', async (context) => {
    const { path, stream, destination } = await compressedStream('flip', {
      groups: 4,
      recordsPerGroup: 3,
      length: 64,
    });
    const campaign = new Campaign(context, 'T2 flipped bits: compressed', random.seed);
    const fd = openSync(path, 'r+');
    const bits = bitsOf(stream, random);
    for (const bit of bits) {
      const at = bit >> 3;
      const byte = stream[at] ?? 0;
      writeSync(fd, Uint8Array.of(byte ^ (1 << (bit & 7))), 0, 1, at);
      await campaign.run(`bit ${bit}`, async () => {
        const { error, destination: after } = await applyToMemory(path, destination.open());
        assert.ok(destination.groupsIn(after) >= 0, 'a part of a group was written');
        if (error === undefined) assert.ok(destination.holdsAll(after), 'it was not noticed');
        else assert.ok(exitStatusOf(error) >= 14, `status ${exitStatusOf(error)}`);
      });
      writeSync(fd, Uint8Array.of(byte), 0, 1, at);
    }
    closeSync(fd);
    campaign.finish(bits.length);
  });
});

/** T2: a stream in which any one bit is another. */

import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';
import { applyToMemory } from '../helpers/streams/apply-stream.js';
import {
  bitsOf,
  DAMAGE_DEVICE_SIZE,
  DamagedDestination,
  exitStatusOf,
  randomGroups,
} from '../helpers/streams/damaged-streams.js';
import { framedStream } from '../helpers/streams/stream-parts.js';

const folder = scratchFolder('memory');
const random = new Random();
const before = random.bytes(DAMAGE_DEVICE_SIZE);

interface Flips {
  readonly kind: 'file' | 'wire' | 'snapback';
  readonly path: string;
  readonly stream: Buffer;
  readonly destination: DamagedDestination;
}

/** Short payloads: most bytes are headers and control words. About 5.5 KB. */
async function denseStream(kind: Flips['kind']): Promise<Flips> {
  const groups = randomGroups(random, { groups: 8, recordsPerGroup: 6, length: 16 });
  const path = join(folder, `${kind}-${random.below(2 ** 30)}`);
  const stream = await framedStream(path, { kind, deviceSize: DAMAGE_DEVICE_SIZE, groups });
  return { kind, path, stream, destination: new DamagedDestination(before, groups) };
}

async function flip(fd: number, bit: number, { path, stream, destination }: Flips): Promise<void> {
  const at = bit >> 3;
  const byte = stream[at] ?? 0;
  writeSync(fd, Uint8Array.of(byte ^ (1 << (bit & 7))), 0, 1, at);
  try {
    const { error, destination: after } = await applyToMemory(path, destination.open());
    assert.ok(destination.groupsIn(after) >= 0, 'a part of a group was written');
    // The last group of a snapback may be spoilt where nothing behind it says that it was used.
    if (error === undefined) assert.ok(destination.holdsAll(after), 'it was not noticed');
    else assert.ok(exitStatusOf(error) >= 14, `status ${exitStatusOf(error)}`);
  } finally {
    writeSync(fd, Uint8Array.of(byte), 0, 1, at);
  }
}

async function flipAll(context: TestContext, flips: Flips, bits: readonly number[]): Promise<void> {
  const campaign = new Campaign(context, `T2 flipped bits: ${flips.kind}`, random.seed);
  const fd = openSync(flips.path, 'r+');
  for (const bit of bits) await campaign.run(`bit ${bit}`, () => flip(fd, bit, flips));
  closeSync(fd);
  campaign.finish(bits.length);
}

// Each of them waits for threads most of the time.
describe('any flipped bit', { concurrency: 6 }, () => {
  for (const kind of ['file', 'wire', 'snapback'] as const) {
    test(`of a stream of kind ${kind} is noticed, or changes nothing`, async (context) => {
      const flips = await denseStream(kind);
      await flipAll(context, flips, bitsOf(flips.stream, random));
    });
  }

  // Other streams, for the many cases of a release.
  for (let round = 0; round < campaignSize({ commit: 0, release: 20 }); round++) {
    test(`of another stream is noticed (${round})`, async (context) => {
      const flips = await denseStream('file');
      await flipAll(context, flips, random.distinct(5000, flips.stream.length * 8));
    });
  }
});

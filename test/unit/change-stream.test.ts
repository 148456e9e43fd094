/** Change streams that are cut or damaged: what is noticed, and what reaches the destination. */

import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../src/errors.js';
import { applyToMemory } from '../helpers/apply-stream.js';
import { MemoryDevice } from '../helpers/memory-device.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';
import {
  CLASSIC_HANDSHAKE,
  classicStream,
  dataRecordsOf,
  framedStream,
  recordHeader,
  type StreamRecord,
} from '../helpers/stream-parts.js';

const folder = scratchFolder('memory');
const DEVICE_SIZE = 64 * 1024;
const CHUNK = 512;
const random = new Random();

/** Groups of records of one chunk, in random order. */
function randomGroups(groups: number, recordsPerGroup: number, length = CHUNK): StreamRecord[][] {
  const offsets = random.distinct(groups * recordsPerGroup, DEVICE_SIZE / CHUNK);
  return Array.from({ length: groups }, (_, group) =>
    offsets
      .slice(group * recordsPerGroup, (group + 1) * recordsPerGroup)
      .map((chunk) => ({ offset: chunk * CHUNK, data: random.bytes(length) })),
  );
}

/** The destination after the first 0, 1, 2, ... groups. */
function statesAfter(before: Buffer, groups: readonly (readonly StreamRecord[])[]): Buffer[] {
  const states = [Buffer.from(before)];
  for (const group of groups) {
    const state = Buffer.from(states.at(-1) ?? before);
    for (const { offset, data } of group) data.copy(state, offset);
    states.push(state);
  }
  return states;
}

const BEFORE = random.bytes(DEVICE_SIZE);

function destination(): MemoryDevice {
  return new MemoryDevice(Buffer.from(BEFORE));
}

function exitStatusOf(error: unknown, where: string): number {
  assert.ok(error instanceof LvmsyncError, `${where}: ${error}`);
  return error.exitStatus;
}

/** Calls `check` with every shorter length of the file, from the longest to the empty one. */
async function forEveryCut(
  path: string,
  length: number,
  check: (cut: number) => Promise<void>,
): Promise<void> {
  const fd = openSync(path, 'r+');
  try {
    for (let cut = length - 1; cut >= 0; cut--) {
      ftruncateSync(fd, cut);
      await check(cut);
    }
  } finally {
    closeSync(fd);
  }
}

// Each of them waits for threads most of the time.
describe('damage everywhere', { concurrency: 6 }, () => {
  for (const [kind, what] of [
    ['file', 'a stored stream'],
    ['wire', 'a stream for a peer'],
  ] as const) {
    test(`${what}, cut at any byte, is refused, and only whole groups reach the destination`, async (context) => {
      const groups = randomGroups(6, 5);
      const states = statesAfter(BEFORE, groups);
      const path = join(folder, `cut-${kind}`);
      const stream = await framedStream(path, { kind, deviceSize: DEVICE_SIZE, groups });
      const whole = await applyToMemory(path, destination());
      assert.equal(whole.error, undefined);
      assert.ok(whole.destination.content.equals(states.at(-1)!));
      const statuses = new Map<number, number>();
      await forEveryCut(path, stream.length, async (cut) => {
        const { form, error, destination: after } = await applyToMemory(path, destination());
        if (kind === 'file' && cut === CLASSIC_HANDSHAKE.length) {
          // What is left is also what the original writes when nothing changed.
          assert.deepEqual(form, { form: 'classic', leftover: false, empty: true });
          assert.ok(after.content.equals(BEFORE));
          return;
        }
        const status = exitStatusOf(error, `cut at ${cut}`);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        assert.ok([14, 15].includes(status), `cut at ${cut}: ${status}`);
        assert.ok(
          states.some((state) => state.equals(after.content)),
          `cut at ${cut}: a part of a group was written`,
        );
      });
      context.diagnostic(`${stream.length} cuts: ${JSON.stringify([...statuses])}`);
    });
  }

  test('a snapback, cut at any byte, gives back a prefix of its groups and refuses only an empty prefix', async (context) => {
    const groups = randomGroups(6, 5);
    const states = statesAfter(BEFORE, groups);
    const path = join(folder, 'cut-snapback');
    const facts = { kind: 'snapback', deviceSize: DEVICE_SIZE, groups } as const;
    const stream = await framedStream(path, facts);
    let last = groups.length;
    const counts = { accepted: 0, torn: 0, refused: 0 };
    await forEveryCut(path, stream.length, async (cut) => {
      const { error, end, destination: after } = await applyToMemory(path, destination());
      const prefix = states.findIndex((state) => state.equals(after.content));
      assert.ok(prefix >= 0 && prefix <= last, `cut at ${cut}: ${prefix} groups after ${last}`);
      last = prefix;
      if (error === undefined) {
        counts.accepted++;
        if (end?.tornTail !== undefined) counts.torn++;
      } else {
        counts.refused++;
        assert.ok([14, 15].includes(exitStatusOf(error, `cut at ${cut}`)));
        assert.equal(prefix, 0, `cut at ${cut}: refused after ${prefix} groups`);
      }
    });
    assert.ok(counts.torn > counts.accepted / 2);
    context.diagnostic(`${stream.length} cuts: ${JSON.stringify(counts)}`);
  });

  test('a classic stream, cut inside a record, is refused; cut between two it cannot be told', async (context) => {
    const records = randomGroups(6, 6).flat();
    const stream = classicStream(records);
    const path = join(folder, 'cut-classic');
    writeFileSync(path, stream);
    const ends = new Set<number>([CLASSIC_HANDSHAKE.length]);
    let position = CLASSIC_HANDSHAKE.length;
    for (const { data } of records) {
      position += 12 + data.length;
      ends.add(position);
    }
    let unnoticed = 0;
    await forEveryCut(path, stream.length, async (cut) => {
      const { error } = await applyToMemory(path, destination());
      if (ends.has(cut)) {
        assert.equal(error, undefined, `cut at ${cut}`);
        unnoticed++;
      } else {
        assert.equal(exitStatusOf(error, `cut at ${cut}`), 14, `cut at ${cut}`);
      }
    });
    assert.equal(unnoticed, records.length);
    context.diagnostic(`${stream.length} cuts, ${unnoticed} of them between records`);
  });

  for (const kind of ['file', 'snapback'] as const) {
    test(`every flipped bit of a framed stream of kind ${kind} is noticed or changes nothing`, async (context) => {
      // Short payloads: most bytes are headers and control words.
      const groups = randomGroups(4, 4, 16);
      const states = statesAfter(BEFORE, groups);
      const right = states.at(-1)!;
      const path = join(folder, `flip-${kind}`);
      const stream = await framedStream(path, { kind, deviceSize: DEVICE_SIZE, groups });
      const fd = openSync(path, 'r+');
      const counts = { refused: 0, harmless: 0, silentlyWrong: 0 };
      try {
        for (let bit = 0; bit < stream.length * 8; bit++) {
          const at = bit >> 3;
          writeSync(fd, Uint8Array.of(stream[at]! ^ (1 << (bit & 7))), 0, 1, at);
          const { error, destination: after } = await applyToMemory(path, destination());
          assert.ok(
            states.some((state) => state.equals(after.content)),
            `bit ${bit}: a part of a group was written`,
          );
          if (error !== undefined) {
            counts.refused++;
            assert.equal(exitStatusOf(error, `bit ${bit}`) >= 14, true, `bit ${bit}: ${error}`);
          } else if (after.content.equals(right)) counts.harmless++;
          else counts.silentlyWrong++;
          writeSync(fd, Uint8Array.of(stream[at]!), 0, 1, at);
        }
      } finally {
        closeSync(fd);
      }
      context.diagnostic(`${stream.length * 8} flips: ${JSON.stringify(counts)}`);
      assert.equal(counts.silentlyWrong, 0);
    });
  }
});

test('a group that has a whole one behind it that proves its use is damage, not a torn tail', async () => {
  const groups = randomGroups(5, 3);
  const path = join(folder, 'damaged-snapback');
  const facts = { kind: 'snapback', deviceSize: DEVICE_SIZE, groups, ending: 'none' } as const;
  const stream = await framedStream(path, facts);
  const damage = (group: number): void => {
    const at = stream.indexOf(groups[group]![0]!.data);
    writeFileSync(path, stream);
    const fd = openSync(path, 'r+');
    writeSync(fd, Uint8Array.of(stream[at]! ^ 1), 0, 1, at);
    closeSync(fd);
  };
  // The mark of each group says that the one before it was durable.
  damage(2);
  const { error } = await applyToMemory(path, destination());
  assert.equal(exitStatusOf(error, 'group 2'), 15);
  assert.match(String(error), /the file is damaged/);
  // Nothing says that of the last one: it may never have been used.
  damage(4);
  const last = await applyToMemory(path, destination());
  assert.equal(last.error, undefined);
  assert.match(last.end?.tornTail ?? '', /hash of group 4 does not match/);
  assert.ok(last.destination.content.equals(statesAfter(BEFORE, groups.slice(0, 4)).at(-1)!));
});

test('a record in the place of a frame, or a frame in the place of a record, is refused', async () => {
  const groups = randomGroups(2, 2);
  const path = join(folder, 'misplaced');
  const stream = await framedStream(path, { deviceSize: DEVICE_SIZE, groups });
  const end = Buffer.concat([stream, recordHeader(0, 1), Buffer.from('x')]);
  writeFileSync(path, end);
  assert.match(String((await applyToMemory(path, destination())).error), /after its end mark/);
  // Without its first group the second has the wrong number.
  const [first] = dataRecordsOf(stream);
  const start = stream.indexOf(first!.data) - 12;
  const second = stream.indexOf(groups[1]![0]!.data) - 12;
  writeFileSync(path, Buffer.concat([stream.subarray(0, start), stream.subarray(second)]));
  const { error, destination: after } = await applyToMemory(path, destination());
  assert.match(String(error), /group 1 where group 0 was expected/);
  assert.ok(after.content.equals(BEFORE));
});

/** Change streams whose parts are sound, but not in their place. See also test/faults. */

import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { native } from '../../../src/host/native.js';
import { decodeEnd, encodeEnd, FRAME } from '../../../src/stream/control-frame.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { applyToMemory } from '../../helpers/streams/apply-stream.js';
import {
  DAMAGE_DEVICE_SIZE,
  DamagedDestination,
  exitStatusOf,
  randomGroups,
} from '../../helpers/streams/damaged-streams.js';
import {
  dataRecordsOf,
  framedStream,
  recordHeader,
  recordsOf,
} from '../../helpers/streams/stream-parts.js';

/** Control words of an END frame: magic, type, count, payload, checksum. */
const END_WORDS = 5 + 25;
const folder = scratchFolder('memory');
const random = new Random();
const before = random.bytes(DAMAGE_DEVICE_SIZE);

test('a group that has a whole one behind it that proves its use is damage, not a torn tail', async () => {
  const groups = randomGroups(random, { groups: 5, recordsPerGroup: 3 });
  const destination = new DamagedDestination(before, groups);
  const path = join(folder, 'damaged-snapback');
  const facts = {
    kind: 'snapback',
    deviceSize: DAMAGE_DEVICE_SIZE,
    groups,
    ending: 'none',
  } as const;
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
  const { error } = await applyToMemory(path, destination.open());
  assert.equal(exitStatusOf(error), 15);
  assert.match(String(error), /the file is damaged/);
  // Nothing says that of the last one: it may never have been used.
  damage(4);
  const last = await applyToMemory(path, destination.open());
  assert.equal(last.error, undefined);
  assert.match(last.end?.tornTail?.message ?? '', /hash of group 4 does not match/);
  assert.equal(destination.groupsIn(last.destination), 4);
});

test('a record in the place of a frame, or a frame in the place of a record, is refused', async () => {
  const groups = randomGroups(random, { groups: 2, recordsPerGroup: 2 });
  const destination = new DamagedDestination(before, groups);
  const path = join(folder, 'misplaced');
  const stream = await framedStream(path, { deviceSize: DAMAGE_DEVICE_SIZE, groups });
  const end = Buffer.concat([stream, recordHeader(0, 1), Buffer.from('x')]);
  writeFileSync(path, end);
  assert.match(String((await applyToMemory(path, destination.open())).error), /after its end mark/);
  // Without its first group the second has the wrong number.
  const [first] = dataRecordsOf(stream);
  const start = stream.indexOf(first!.data) - 12;
  const second = stream.indexOf(groups[1]![0]!.data) - 12;
  writeFileSync(path, Buffer.concat([stream.subarray(0, start), stream.subarray(second)]));
  const { error, destination: after } = await applyToMemory(path, destination.open());
  assert.match(String(error), /group 1 where group 0 was expected/);
  assert.equal(destination.groupsIn(after), 0);
});

test('an end mark of another stream is refused, even if all it says fits', async () => {
  const path = join(folder, 'foreign-end');
  const stream = await framedStream(path, { deviceSize: DAMAGE_DEVICE_SIZE, groups: [] });
  const words = recordsOf(stream).slice(-END_WORDS);
  const payload = Buffer.alloc((END_WORDS - 5) * 2);
  for (const [i, { offset }] of words.slice(3, -2).entries()) payload.writeUInt16BE(offset, i * 2);
  const end = decodeEnd(payload);
  const withTag = async (streamTag: Uint8Array): Promise<unknown> => {
    writeFileSync(path, stream.subarray(0, -END_WORDS * 12));
    const fd = openSync(path, 'a');
    writeSync(fd, native.encodeFrame(FRAME.end, encodeEnd({ ...end, streamTag })));
    closeSync(fd);
    return (await applyToMemory(path, new DamagedDestination(before, []).open())).error;
  };
  assert.equal(await withTag(end.streamTag), undefined);
  assert.match(String(await withTag(Buffer.alloc(8, 7))), /end mark does not match/);
});

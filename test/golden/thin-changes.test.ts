/** The change list of the recorded thin snapshot, against what the original sent for it. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { readThinDelta } from '../helpers/lvm/thin-delta.js';
import { readThinDifference, type ThinDifference } from '../../src/lvm/thin/difference.js';
import { goldenPath, readGoldenImage } from '../helpers/golden.js';
import { dataRecordsOf } from '../helpers/streams/stream-parts.js';
import { FakeTool } from '../helpers/lvm/thin-xml.js';

const BLOCK = 64 * 1024;
const ORIGIN = 1;
const SNAPSHOT = 3;

const text = (name: string) => readFileSync(goldenPath(`thin-64k/${name}`), 'utf8');
const origin = readGoldenImage('thin-64k/origin.img');
const snapshot = readGoldenImage('thin-64k/snapshot.img');
const dump = (name: string, deviceId: number) => ({ dump: new FakeTool(text(name)), deviceId });

/** Blocks of both lists, ascending: the original sent zeros for what was discarded. */
function blocksOf({ changed, discarded }: ThinDifference): number[] {
  const blocks = [changed, discarded].flatMap(({ pairs }) => {
    const found: number[] = [];
    for (let at = 0; at < pairs.length; at += 2) {
      const [offset = 0, length = 0] = pairs.subarray(at, at + 2);
      for (let block = offset; block < offset + length; block += BLOCK) found.push(block / BLOCK);
    }
    return found;
  });
  return blocks.sort((a, b) => a - b);
}

function readDump(name: string): Promise<ThinDifference> {
  return readThinDifference({
    from: dump(name, SNAPSHOT),
    to: dump(name, ORIGIN),
    size: origin.length,
  });
}

describe('the changes of the recorded thin snapshot', () => {
  const sent = dataRecordsOf(readGoldenImage('thin-64k/stream'));
  const original = sent.map(({ offset }) => offset / BLOCK).sort((a, b) => a - b);

  for (const name of ['thin_dump-0.9.0.xml', 'thin_dump-0.9.0-two-devices.xml']) {
    test(`are in ${name} exactly what the original sent`, async () => {
      const found = await readDump(name);
      assert.deepEqual(blocksOf(found), original);
      assert.equal(found.dataBlockSize, BLOCK);
    });

    test(`make the snapshot's content the origin's, from ${name}`, async () => {
      const { changed, discarded } = await readDump(name);
      const copy = Buffer.from(snapshot);
      for (const { pairs } of [changed, discarded]) {
        for (let at = 0; at < pairs.length; at += 2) {
          const [offset = 0, length = 0] = pairs.subarray(at, at + 2);
          origin.copy(copy, offset, offset, offset + length);
        }
      }
      assert.ok(copy.equals(origin));
      for (let at = 0; at < discarded.pairs.length; at += 2) {
        const [offset = 0, length = 0] = discarded.pairs.subarray(at, at + 2);
        assert.ok(origin.subarray(offset, offset + length).every((byte) => byte === 0));
      }
    });
  }

  test('are the same to thin_delta, the other way round', async () => {
    const delta = await readThinDelta({
      delta: new FakeTool(text('thin_delta-0.9.0.xml')),
      from: { deviceId: ORIGIN, mappedBlocks: 200 },
      to: { deviceId: SNAPSHOT, mappedBlocks: 208 },
      size: origin.length,
    });
    const dumped = await readThinDifference({
      from: dump('thin_dump-0.9.0.xml', ORIGIN),
      to: dump('thin_dump-0.9.0.xml', SNAPSHOT),
      size: origin.length,
    });
    assert.deepEqual(delta, dumped);
    assert.deepEqual(blocksOf(delta), original);
  });
});

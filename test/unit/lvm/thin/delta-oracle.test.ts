import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../../src/base/errors.js';
import type { ThinDifference } from '../../../../src/lvm/thin/difference.js';
import { goldenPath } from '../../../helpers/golden.js';
import { readThinDelta, type ThinDelta } from '../../../helpers/lvm/thin-delta.js';
import { FakeTool } from '../../../helpers/lvm/thin-xml.js';

const KiB = 1024;
const text = readFileSync(goldenPath('thin-64k/thin_delta-0.9.0.xml'), 'utf8');
/** Device 1 has 200 mapped blocks, device 3 has 208. */
const sides = {
  from: { deviceId: 1, mappedBlocks: 200 },
  to: { deviceId: 3, mappedBlocks: 208 },
  size: 32 * 1024 * KiB,
};

function read(delta: FakeTool, changes: Partial<ThinDelta> = {}): Promise<ThinDifference> {
  return readThinDelta({ delta, ...sides, ...changes });
}

async function refusal(delta: FakeTool, changes: Partial<ThinDelta> = {}): Promise<string> {
  try {
    await read(delta, changes);
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof LvmsyncError, String(error));
    assert.equal(error.exitStatus, 18);
    assert.ok(delta.stops > 0);
    return error.message;
  }
}

describe('readThinDelta', () => {
  test('reads all four kinds of difference', async () => {
    const { changed, discarded, dataBlockSize } = await read(new FakeTool(text));
    const inBlocks = (pairs: Float64Array) => [...pairs].map((bytes) => bytes / dataBlockSize);
    assert.equal(dataBlockSize, 64 * KiB);
    assert.deepEqual(inBlocks(changed.pairs), [1, 2, 64, 1, 128, 10]);
    assert.deepEqual(inBlocks(discarded.pairs), [256, 1, 511, 1]);
  });

  test('finds the same in pieces of any size', async () => {
    for (const size of [1, 2, 3, 7, 50, 71]) {
      assert.deepEqual(await read(new FakeTool(text, { size })), await read(new FakeTool(text)));
    }
  });

  test('leaves out what lies beyond the end of the device', async () => {
    const { changed, discarded } = await read(new FakeTool(text), { size: 128 * 64 * KiB + 512 });
    assert.deepEqual([...changed.pairs].slice(-2), [128 * 64 * KiB, 512]);
    assert.equal(discarded.count, 0);
  });

  test('refuses output that is cut, at whichever byte', async () => {
    const complete = text.trimEnd().length;
    for (let length = 0; length < complete; length++) {
      assert.match(await refusal(new FakeTool(text.slice(0, length))), /ends too early/);
    }
    assert.equal(await refusal(new FakeTool(text.slice(0, complete))), 'accepted');
  });

  test("passes the tool's own failure on", async () => {
    await assert.rejects(read(new FakeTool(text, { ending: 'fail' })), /bad checksum/);
  });

  const unusable: readonly (readonly [why: string, text: string, message: RegExp])[] = [
    ['another document', '<device dev_id="1"/>', /<device> is not expected there/],
    ['other devices', text.replace('right="3"', 'right="4"'), /it is about devices 1 and 4/],
    [
      'a missing range',
      text.replace(/<left_only.*\n/, ''),
      /should have 200 and 208 mapped blocks/,
    ],
    ['a range twice', text.replace(/(<left_only.*\n)/, '$1$1'), /overlap/],
    ['a range of 0', text.replace('"54"', '"0"'), /too long/],
    ['an unknown range', text.replace('right_only', 'both'), /<both> is not expected there/],
    ['no end of the list', text.replace('</diff>', ''), /<\/superblock> is not expected there/],
    ['two lists', text.replace('</diff>', '</diff><diff>'), /<diff> is not expected there/],
    ['no list', text.replace(/<diff[\s\S]*<\/diff>/, ''), /<\/superblock> is not expected there/],
    [
      'an empty list',
      text.replace(/<diff[\s\S]*<\/diff>/, '<diff left="1" right="3"/>'),
      /0 and 0/,
    ],
    ['more behind', `${text}<superblock/>`, /<superblock> is not expected there/],
  ];
  for (const [why, damaged, message] of unusable) {
    test(`refuses ${why}`, async () => assert.match(await refusal(new FakeTool(damaged)), message));
  }
});

/** T17: a verify of devices in which one bit differs, and one whose answers arrive damaged. */

import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FileDevice } from '../../src/device/block-device.js';
import { ExtentList, NO_EXTENTS } from '../../src/device/extent.js';
import { DeviceHashes } from '../../src/pipeline/block-hashes.js';
import { type Comparer, compare, Differences } from '../../src/pipeline/compare.js';
import { ByteComparer } from '../../src/pipeline/compare-bytes.js';
import { HashComparer } from '../../src/pipeline/compare-hashes.js';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { lvmsync } from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const PAGE = 4096;
const MIB = 1024 * 1024;
const GARBLE = fileURLToPath(new URL('../helpers/remote/garble.js', import.meta.url));
const fixture = new RemoteFixture();
const random = new Random();

function newFile(name: string, content: Buffer): string {
  writeFileSync(fixture.path(name), content);
  return fixture.path(name);
}

/** Stretches of odd lengths at odd places, about half of the device. */
function randomExtents(size: number): ExtentList {
  const pairs: number[] = [];
  for (let at = random.below(9000); at < size; at += 1 + random.below(60_000)) {
    const length = Math.min(size - at, 1 + random.below(60_000));
    pairs.push(at, length);
    at += length;
  }
  return new ExtentList(Float64Array.from(pairs));
}

/** What has to be found for a bit at that byte: its page, as far as the extent reaches that holds it. */
function expectedFor(at: number, { pairs }: ExtentList): readonly (readonly [number, number])[] {
  for (let i = 0; i < pairs.length; i += 2) {
    const start = pairs[i] ?? 0;
    const end = start + (pairs[i + 1] ?? 0);
    if (at < start || at >= end) continue;
    const from = Math.max(start, at - (at % PAGE));
    const to = Math.min(end, at - (at % PAGE) + PAGE);
    return [[from, to - from]];
  }
  return [];
}

test('a flipped bit is found wherever it is compared, and nothing else', async (context) => {
  const content = random.bytes(2 * MIB + 777);
  const [here, there] = [newFile('here', content), newFile('there', content)];
  const source = await FileDevice.open(here, { role: 'source' });
  const destination = await FileDevice.open(there, { role: 'destination' });
  const comparers: readonly Comparer[] = [
    new HashComparer(new DeviceHashes(source), new DeviceHashes(destination)),
    new ByteComparer(source, destination),
  ];
  const { signal } = new AbortController();
  const fd = openSync(there, 'r+');
  const campaign = new Campaign(context, 'T17 flipped bits under a verify', random.seed);
  const cases = campaignSize({ commit: 400, release: 20_000 });
  for (let i = 0; i < cases; i++) {
    const at = random.below(content.length);
    const byte = content[at] ?? 0;
    const extents =
      i % 2 === 0 ? NO_EXTENTS.withTail(0, content.length) : randomExtents(content.length);
    writeSync(fd, Uint8Array.of(byte ^ (1 << random.below(8))), 0, 1, at);
    await campaign.run(`byte ${at}`, async () => {
      for (const comparer of comparers) {
        const found = new Differences();
        await compare({ comparer, extents, signal, onProgress: () => undefined }, found);
        const ranges = found.first(10).map(({ offset, length }) => [offset, length] as const);
        assert.deepEqual(ranges, expectedFor(at, extents));
      }
    });
    writeSync(fd, Uint8Array.of(byte), 0, 1, at);
  }
  closeSync(fd);
  await source.close();
  await destination.close();
  campaign.finish(cases);
});

/** Three requests and what is narrowed: about so many bytes of answers, a few of which lie behind the end. */
const ANSWER_BYTES = 4400;

test('no damage to the answers makes different devices equal', async (context) => {
  const content = random.bytes(4 * MIB + 100);
  const source = newFile('source', content);
  const other = Buffer.from(content);
  other[3 * MIB] = (other[3 * MIB] ?? 0) ^ 1;
  const destination = newFile('destination', other);
  const campaign = new Campaign(context, 'T17 damaged answers to a verify', random.seed);
  const cases = campaignSize({ commit: 25, release: 1000 });
  for (let i = 0; i < cases; i++) {
    const kind = ['flip', 'drop', 'double', 'cut'][random.below(4)] ?? '';
    const at = random.below(ANSWER_BYTES);
    const { command } = fixture.rsh(
      `sh -c "$line" | '${process.execPath}' '${GARBLE}' ${kind} ${at}`,
    );
    await campaign.run(`${kind} at byte ${at}`, () => {
      const words = ['--full', '-q', '--timeout', '2', '-e', command];
      const { status, stderr } = lvmsync(['verify', ...words, source, `backup:${destination}`]);
      assert.ok(status === 4 || status === 17, `status ${status}: ${stderr}`);
    });
  }
  campaign.finish(cases);
});

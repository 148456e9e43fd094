import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { headOf } from '../../../../src/commands/changes/list.js';
import { formatSummary, summaryJson, summaryOf } from '../../../../src/commands/changes/summary.js';
import { ExtentList, NO_EXTENTS } from '../../../../src/device/extent.js';

const KIB = 1024;
const list = (...pairs: number[]): ExtentList => new ExtentList(Float64Array.from(pairs));

const SOURCE = {
  device: { path: '/dev/mapper/vg0-mail', size: 256 * KIB },
  // 4 and 12 KiB of data, 8 KiB of zeros.
  extents: list(0, 4 * KIB, 64 * KIB, 20 * KIB),
  zeros: list(64 * KIB, 8 * KIB),
  chunkSize: 4 * KIB,
};
const NOTHING = { ...SOURCE, extents: NO_EXTENTS, zeros: NO_EXTENTS };
const textOf = (source: Parameters<typeof headOf>[0] & Parameters<typeof summaryOf>[0]): string =>
  formatSummary(headOf(source, new Date(0)), summaryOf(source));

describe('a summary', () => {
  test('counts data and zeros', () => {
    const { data, zero } = summaryOf(SOURCE);
    assert.deepEqual(data, { count: 2, bytes: 16 * KIB });
    assert.deepEqual(zero, { count: 1, bytes: 8 * KIB });
  });

  test('sorts the extents by the power of two below their lengths', () => {
    assert.deepEqual(summaryOf(SOURCE).lengths, [
      [4 * KIB, { count: 1, bytes: 4 * KIB }],
      [8 * KIB, { count: 2, bytes: 20 * KIB }],
    ]);
    const large = { ...NOTHING, device: { size: 2 ** 53 }, extents: list(0, 2 ** 52 + 512) };
    assert.deepEqual(summaryOf(large).lengths, [[2 ** 52, { count: 1, bytes: 2 ** 52 + 512 }]]);
  });

  test('has a map of the whole device', () => {
    const { map } = summaryOf(SOURCE);
    assert.equal(map.cellSize, 4 * KIB);
    assert.deepEqual(
      map.shares.flatMap((share, cell) => (share === 0 ? [] : [`${cell}:${share}`])),
      ['0:1', '16:1', '17:1', '18:1', '19:1', '20:1'],
    );
    assert.equal(map.shares.length, 64);
  });

  test('has the room that a thick snapshot takes: chunks, their lists, and its first chunks', () => {
    const bytesFor = (storedChunks: number, chunkSize = 4 * KIB): number | undefined =>
      summaryOf({ ...SOURCE, chunkSize, storedChunks }).storeBytes;
    assert.equal(bytesFor(0), 4 * 4 * KIB);
    assert.equal(bytesFor(256), (256 + 1 + 4) * 4 * KIB);
    assert.equal(bytesFor(257), (257 + 2 + 4) * 4 * KIB);
    assert.equal(bytesFor(257, 64 * KIB), (257 + 1 + 4) * 64 * KIB);
    assert.equal(summaryOf(SOURCE).storeBytes, undefined);
  });
});

describe('a summary for a person', () => {
  test('is this', () => {
    const volumes = {
      from: { name: 'vg0/mail-snap', uuid: 'abc', createdAt: undefined },
      to: { name: 'vg0/mail', uuid: 'def', createdAt: undefined },
    };
    const cells = `█${' '.repeat(15)}█████${' '.repeat(43)}`;
    assert.equal(
      textOf({ ...SOURCE, volumes, storedChunks: 5000 }),
      `\
Changes of vg0/mail
  device      /dev/mapper/vg0-mail, 256.0 KiB (262144 bytes), in chunks of 4.0 KiB
  from        vg0/mail-snap (abc)
  to          vg0/mail (def)
  data        16.0 KiB (16384 bytes) in 2 extents, 6.3% of the volume
  zeros       8.0 KiB (8192 bytes) in 1 extent, 3.1% of the volume
  map         |${cells}| 4.0 KiB per cell
  snapshot    a thick snapshot of the same age would need --size 20M, with chunks of 4.0 KiB
  lengths       at least    extents       bytes
                 4.0 KiB          1     4.0 KiB  ####
                 8.0 KiB          2    20.0 KiB  ####################
`,
    );
  });

  test('says what is not known', () => {
    assert.match(textOf(SOURCE), /^ {2}snapshot {4}the --size .* is not known$/m);
    assert.match(textOf(SOURCE), /^Changes of \/dev\/mapper\/vg0-mail\n/);
  });

  test('of no changes has no lengths', () => {
    const text = textOf(NOTHING);
    assert.match(text, /^ {2}data {8}0 B \(0 bytes\) in 0 extents, 0\.0% of the volume$/m);
    assert.match(text, /^ {2}zeros {7}none known$/m);
    assert.doesNotMatch(text, /lengths/);
  });
});

test('a summary as a document has the same figures', () => {
  const head = headOf(SOURCE, new Date(0));
  const { map, lengths, ...rest } = JSON.parse(summaryJson(head, summaryOf(SOURCE)));
  assert.deepEqual(lengths, [
    { from: 4096, extents: 1, bytes: 4096 },
    { from: 8192, extents: 2, bytes: 20480 },
  ]);
  assert.equal(map.shares.length, 64);
  assert.deepEqual(rest, { ...head, dataExtents: 2, zeroExtents: 1, snapshotSize: null });
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { assertFails, assertSucceeds, lvmsync } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { contentHash, saveContent, sequential, writeRandom } from '../harness/content.js';
import { withThickCopy, withThinCopy } from '../harness/copies.js';
import { KiB, type LogicalVolume, MiB, snapshotStatus } from '../harness/lvm.js';
import { discard } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

const folder = scratchFolder();

interface Listed {
  readonly offset: number;
  readonly length: number;
  readonly kind: string;
}

function lines(words: readonly string[]): Listed[] {
  const result = lvmsync(['changes', ...words]);
  assertSucceeds(result);
  const text = result.stdout.toString();
  return text.split('\n').flatMap((line) => {
    const [, offset, length, kind = ''] = /^(\d+) (\d+) (data|zero|same)$/.exec(line) ?? [];
    return line === '' ? [] : [{ offset: Number(offset), length: Number(length), kind }];
  });
}

function content(path: string): Buffer {
  const file = `${folder}/content`;
  saveContent(path, file);
  return readFileSync(file);
}

/** The changed blocks, each with what the list calls it, of two states: every block that differs in a byte. */
function differing(former: Buffer, now: Buffer, blockSize: number): Map<number, string> {
  const found = new Map<number, string>();
  for (let at = 0; at < now.length; at += blockSize) {
    const block = now.subarray(at, at + blockSize);
    if (former.subarray(at, at + blockSize).equals(block)) continue;
    found.set(at, block.every((byte) => byte === 0) ? 'zero' : 'data');
  }
  return found;
}

/** The same of a list, which has to name whole blocks. */
function blocksOf(list: readonly Listed[], blockSize: number, size: number): Map<number, string> {
  const found = new Map<number, string>();
  for (const { offset, length, kind } of list) {
    assert.equal(offset % blockSize, 0);
    assert.ok(length % blockSize === 0 || offset + length === size, `${offset} ${length}`);
    for (let at = offset; at < offset + length; at += blockSize) found.set(at, kind);
  }
  return found;
}

const uuidOf = ({ vgName, lvName }: LogicalVolume): string =>
  tool('lvs', '--noheadings', '-o', 'lv_uuid', `${vgName}/${lvName}`).trim();

describe('the list of a thick snapshot', () => {
  const lab = withThickCopy({ changes: 300 });
  const size = lab.size;

  test('is what a comparison of both states shows', () => {
    const expected = differing(content(lab.snapshot.path), content(lab.origin.path), lab.chunkSize);
    assert.ok(expected.size > 200);
    const found = blocksOf(lines([lab.snapshot.path]), lab.chunkSize, size);
    assert.deepEqual(found, expected);
  });

  test('names both volumes, and changes nothing', () => {
    const state = (): string[] => [
      ...[contentHash(lab.origin.path), snapshotStatus(lab.snapshot)],
      tool('lvs', '-a', '-o', 'lv_name,lv_uuid,lv_attr,lv_tags'),
    ];
    const before = state();
    const { stdout } = lvmsync(['changes', '--output', 'json', 'vg0/snap']);
    const { from, to, deviceSize, chunkSize, extents } = JSON.parse(stdout.toString());
    assert.deepEqual([from.name, from.uuid], ['vg0/snap', uuidOf(lab.snapshot)]);
    assert.deepEqual([to.name, to.uuid], ['vg0/data', uuidOf(lab.origin)]);
    assert.ok(Date.parse(from.createdAt) >= Date.parse(to.createdAt));
    assert.deepEqual([deviceSize, chunkSize], [size, lab.chunkSize]);
    assert.deepEqual(extents, lines(['vg0/snap']));
    assert.deepEqual(state(), before);
  });

  test('knows the room that such a snapshot needs: what the kernel takes, and little more', () => {
    const { stdout } = lvmsync(['changes', '--summary', '--json', 'vg0/snap']);
    const { snapshotSize } = JSON.parse(stdout.toString());
    const taken = Number(snapshotStatus(lab.snapshot).split('/')[0]) * 512;
    assert.ok(snapshotSize >= taken, `${snapshotSize} for ${taken}`);
    assert.ok(snapshotSize <= taken + 4 * lab.chunkSize, `${snapshotSize} for ${taken}`);
  });

  test('is refused as a dry run is: no snapshot, and one that has overflowed', (t) => {
    const options = { name: 'full', storeSize: 4 * MiB, until: t };
    const full = lab.createSnapshot(options);
    writeRandom(lab.origin.path, lab.random, sequential(0, 1500, lab.chunkSize));
    assert.match(snapshotStatus(full), /^Invalid/);
    for (const volume of ['vg0/data', 'vg0/full']) {
      const listed = lvmsync(['changes', volume]);
      assertFails(listed, 10, /./);
      const dry = lvmsync(['--dry-run', '--stdout', volume]);
      assert.deepEqual([listed.status, listed.stderr], [dry.status, dry.stderr]);
      assert.equal(listed.stdout.length, 0);
    }
  });

  test('is for no map: --since is for thin volumes', () => {
    const words = ['changes', '--output', 'borg-map', '--since', 'vg0/data', 'vg0/snap'];
    assertFails(lvmsync(words), 1, /--since is only for thin volumes/);
  });
});

describe('the list of thin volumes', () => {
  const blockSize = 64 * KiB;
  const written = 12 * MiB;
  const lab = withThinCopy({ pool: { size: 96 * MiB, blockSize }, written, changes: 40 });
  const map = ['--output', 'borg-map', '--since', 'vg0/snap'];

  /** Blocks that were discarded, written for the first time, and both: more than a run of plain writes. */
  function changeMore(): void {
    discard(lab.origin.path, 2 * MiB, MiB);
    writeRandom(lab.origin.path, lab.random, [
      { offset: 2 * MiB + 2 * blockSize, length: 4 * KiB },
      { offset: written + MiB, length: 100 * KiB },
    ]);
    discard(lab.origin.path, written + 2 * MiB, MiB);
  }

  test('is what a comparison of both states shows, zeros and all', () => {
    changeMore();
    const expected = differing(content(lab.snapshot.path), content(lab.origin.path), blockSize);
    assert.deepEqual(new Set(expected.values()), new Set(['data', 'zero']));
    assert.deepEqual(blocksOf(lines(['vg0/snap']), blockSize, lab.size), expected);
    assert.equal(lab.pool.heldRoot(), '-');
  });

  test('is refused as a dry run is where somebody else holds the metadata snap', () => {
    lab.pool.send('reserve_metadata_snap');
    try {
      const listed = lvmsync(['changes', 'vg0/snap']);
      assertFails(listed, 18, /metadata snap/);
      const dry = lvmsync(['--dry-run', '--stdout', 'vg0/snap']);
      assert.deepEqual([listed.status, listed.stderr], [dry.status, dry.stderr]);
      assert.equal(listed.stdout.length, 0);
    } finally {
      lab.pool.send('release_metadata_snap');
    }
  });

  test('does not know the room that a thick snapshot would need', () => {
    const { stdout } = lvmsync(['changes', '--summary', 'vg0/snap']);
    assert.match(stdout.toString(), /^ {2}snapshot .* is not known$/m);
  });

  test('as a map needs both read-only, then covers the device and calls the same what is', () => {
    lab.pool.snapshot(lab.origin, 'new');
    const refused = (lvName: string): void => {
      const result = lvmsync(['changes', ...map, 'vg0/new']);
      assertFails(result, 10, new RegExp(`^FATAL ERROR: vg0/${lvName}: not read-only`));
      assert.equal(result.stdout.length, 0);
    };
    refused('snap');
    tool('lvchange', '-q', '-pr', 'vg0/snap');
    refused('new');
    tool('lvchange', '-q', '-pr', 'vg0/new');
    const found = lines([...map, 'vg0/new']);
    let end = 0;
    for (const { offset, length } of found) {
      assert.equal(offset, end);
      end += length;
    }
    assert.equal(end, lab.size);
    const newer = content('/dev/mapper/vg0-new');
    const blocks = blocksOf(found, blockSize, lab.size);
    const changed = new Map([...blocks].filter(([, kind]) => kind !== 'same'));
    assert.deepEqual(changed, differing(content(lab.snapshot.path), newer, blockSize));
    // An old one need not be active.
    tool('lvchange', '-q', '-an', 'vg0/snap');
    assert.deepEqual(lines([...map, 'vg0/new']), found);
  });

  test('of two snapshots names them, with when they were made', () => {
    const { stdout } = lvmsync(['changes', '--json', '--since', 'vg0/snap', 'vg0/new']);
    const { from, to, device } = JSON.parse(stdout.toString());
    assert.deepEqual([from.name, to.name, device], ['vg0/snap', 'vg0/new', '/dev/mapper/vg0-new']);
    assert.ok(Date.parse(from.createdAt) <= Date.parse(to.createdAt));
  });
});

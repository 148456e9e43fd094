import assert from 'node:assert/strict';
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ChainLaboratory } from '../../helpers/chain/chain-laboratory.js';
import { assertFails, assertSucceeds, type CliResult, lvmsync } from '../../helpers/program/cli.js';
import { Random as ContentRandom, Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { assertSameContent, fillRandom, saveContent } from '../harness/content.js';
import { KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const random = new Random();
const SPEC = { size: MiB, chunkSize: 16 * KiB, turns: 3, changedChunks: 30 };

interface Laboratory {
  readonly group: TestVolumeGroup;
  readonly copy: LogicalVolume;
  readonly chain: ChainLaboratory;
}

/** A chain of a logical volume, which holds its last point. */
async function laboratory(t: TestContext): Promise<Laboratory> {
  const group = new TestVolumeGroup({ size: 16 * MiB, extentSize: MiB });
  t.after(() => group.destroy());
  const copy = group.createVolume('copy', SPEC.size);
  const folder = `${scratchFolder()}/laboratory`;
  const chain = new ChainLaboratory(folder, SPEC, random, { destination: copy.path });
  await chain.advanceTo(SPEC.turns);
  return { group, copy, chain };
}

function rollback({ chain }: ChainLaboratory, path: string, ...words: string[]): CliResult {
  return lvmsync(['rollback', ...words, path, chain]);
}

test('a chain of a logical volume goes back to each of its points, and forward again', async (t) => {
  const { copy, chain } = await laboratory(t);
  for (let point = SPEC.turns - 1; point >= 0; point--) {
    assertSucceeds(rollback(chain, copy.path, '--steps', '1'));
    chain.assertHolds(point);
  }
  for (let point = 1; point <= SPEC.turns; point++) {
    assertSucceeds(rollback(chain, copy.path, '--redo'));
    chain.assertHolds(point);
  }
});

test('a chain knows its volume by another name of it, and after it was renamed', async (t) => {
  const { group, copy, chain } = await laboratory(t);
  assertSucceeds(rollback(chain, `/dev/${group.name}/${copy.lvName}`, '--steps', '1'));
  tool('lvrename', '-q', group.name, copy.lvName, 'renamed');
  const { path } = group.volume('renamed');
  assertSucceeds(rollback(chain, path, '--steps', '1'));
  assert.ok(readFileSync(path).equals(chain.states[1] ?? Buffer.alloc(0)));
});

test('a chain refuses another volume, of that name too, and one of another size', async (t) => {
  const { group, copy, chain } = await laboratory(t);
  const { attributes, groups } = chain.facts(SPEC.turns);
  const from = { fromPoint: attributes.toPoint ?? '', fromTime: attributes.toTime ?? '' };
  const next = { ...from, toPoint: 'next', toTime: '2026-11-24T00:00:00Z' };
  const turn = await chain.words(SPEC.turns, { attributes: next, groups });
  const refused = (message: RegExp): void => {
    assertFails(rollback(chain, copy.path, '--steps', '1'), 12, message);
    assertFails(lvmsync(turn), 12, message);
  };
  tool('lvextend', '-q', '-L', `${2 * SPEC.size}b`, `${group.name}/${copy.lvName}`);
  refused(/size is .*\(2097152 bytes\), but the chain recorded .*\(1048576 bytes\)/);
  tool('lvreduce', '-q', '-f', '-L', `${SPEC.size}b`, `${group.name}/${copy.lvName}`);
  tool('lvrename', '-q', group.name, copy.lvName, 'kept');
  const other = group.createVolume(copy.lvName, SPEC.size);
  saveContent(group.volume('kept').path, other.path);
  refused(/the chain belongs to .*LVM-.*, not to .*LVM-/);
  assert.ok(readFileSync(other.path).equals(chain.states[SPEC.turns] ?? Buffer.alloc(0)));
  const survey = lvmsync(['chain', '--json', chain.chain, other.path]);
  assert.equal(survey.status, 12);
  assert.match(survey.stdout.toString(), /"mismatch":"the chain belongs to/);
});

test('a link of another volume is refused, though the record was made to name it', async (t) => {
  const { group, chain } = await laboratory(t);
  const other = group.createVolume('other', SPEC.size);
  const folder = `${scratchFolder()}/other`;
  const stranger = new ChainLaboratory(folder, SPEC, random, { destination: other.path });
  await stranger.advanceTo(SPEC.turns);
  const record = readFileSync(join(chain.chain, 'chain.json'), 'utf8');
  const names = chain.survey().links.map(({ name }) => name);
  for (const name of names) copyFileSync(join(stranger.chain, name), join(chain.chain, name));
  const forged = readFileSync(join(stranger.chain, 'chain.json'), 'utf8');
  const identity = /LVM-\w+/;
  const [own = ''] = identity.exec(record) ?? [];
  const writer = /"writer": \{[^}]*\}/;
  const [run = ''] = writer.exec(record) ?? [];
  const named = forged.replace(identity, own).replace(writer, run);
  // What was noted of the pages of the other volume speaks against it, too.
  const { left, ...rest } = JSON.parse(named);
  assert.ok(left !== undefined);
  writeFileSync(join(chain.chain, 'chain.json'), JSON.stringify(rest));
  assertFails(
    rollback(chain, chain.destination, '--steps', '1'),
    12,
    /this snapback belongs to .*other.*, but the chain belongs to/,
  );
  chain.assertHolds(SPEC.turns);
});

test('a rollback of a mounted volume is refused', async (t) => {
  const { copy, chain } = await laboratory(t);
  const before = readFileSync(join(chain.chain, 'chain.json'));
  tool('mkfs.ext4', '-q', copy.path);
  const mountPoint = scratchFolder();
  tool('mount', copy.path, mountPoint);
  try {
    assertFails(rollback(chain, copy.path, '--steps', '1'), 12, /mounted/);
  } finally {
    tool('umount', mountPoint);
  }
  assert.deepEqual(readFileSync(join(chain.chain, 'chain.json')), before);
});

test('F34: what is advised where another run wrote to the copy makes the chain good again', (t) => {
  const content = new ContentRandom();
  const group = new TestVolumeGroup({ size: 48 * MiB, extentSize: MiB });
  t.after(() => group.destroy());
  const data = group.createVolume('data', 4 * MiB);
  const copy = group.createVolume('copy', 4 * MiB);
  const chain = `${scratchFolder()}/chain`;
  const cycle = (...words: string[]): CliResult =>
    lvmsync(['cycle', ...words, '--size', '4M', '--snapback', chain, 'vg0/data', copy.path]);
  const states: Buffer[] = [];
  for (const words of [['--init'], []]) {
    fillRandom(data.path, content, MiB);
    assertSucceeds(cycle(...words));
    states.push(readFileSync(copy.path));
  }
  group.createSnapshot(data, { name: 'mine', chunkSize: 4 * KiB, storeSize: 4 * MiB });
  fillRandom(data.path, content, 2 * MiB);
  assertSucceeds(lvmsync(['vg0/mine', copy.path]));
  tool('lvremove', '-q', '-f', 'vg0/mine');
  fillRandom(data.path, content, 3 * MiB);

  assert.equal(cycle().status, 12);
  const rollback = ['rollback', '--steps', '1', copy.path, chain];
  assert.match(lvmsync(rollback).stderr, /run the cycle once with --compare/);
  assertSucceeds(cycle('--compare'));
  assertSameContent(data.path, copy.path);
  for (const state of states.reverse()) {
    assertSucceeds(lvmsync(rollback));
    assert.ok(readFileSync(copy.path).equals(state));
  }
});

test('F34: a copy that was mounted is refused where the mount wrote to it', (t) => {
  const group = new TestVolumeGroup({ size: 64 * MiB, extentSize: MiB });
  t.after(() => group.destroy());
  const data = group.createVolume('data', 8 * MiB);
  const copy = group.createVolume('copy', 8 * MiB);
  const folder = scratchFolder();
  const mountPoint = join(folder, 'mounted');
  mkdirSync(mountPoint);
  const cycle = (...words: string[]): CliResult =>
    lvmsync([
      'cycle',
      ...words,
      '--size',
      '4M',
      '--snapback',
      `${folder}/chain`,
      'vg0/data',
      copy.path,
    ]);
  tool('mkfs.ext4', '-q', data.path);
  assertSucceeds(cycle('--init'));
  tool('mount', '-o', 'ro,noload', copy.path, mountPoint);
  tool('umount', mountPoint);
  assertSucceeds(cycle());
  tool('mount', copy.path, mountPoint);
  tool('umount', mountPoint);
  const written = readFileSync(copy.path);
  const refused = /something else wrote to it since the last run of this chain, such as a mount/;
  assertFails(cycle(), 12, refused);
  assertFails(lvmsync(['rollback', '--steps', '1', copy.path, `${folder}/chain`]), 12, refused);
  assert.ok(readFileSync(copy.path).equals(written), 'nothing was written');
});

test('F34: a merge of a snapshot of the copy is refused while it is scheduled, and noticed afterwards', (t) => {
  const group = new TestVolumeGroup({ size: 64 * MiB, extentSize: MiB });
  t.after(() => group.destroy());
  const data = group.createVolume('data', 4 * MiB);
  const copy = group.createVolume('copy', 4 * MiB);
  const chain = `${scratchFolder()}/chain`;
  const content = new ContentRandom();
  const cycle = (...words: string[]): CliResult =>
    lvmsync(['cycle', ...words, '--size', '4M', '--snapback', chain, 'vg0/data', copy.path]);
  fillRandom(data.path, content, MiB);
  assertSucceeds(cycle('--init'));
  group.createSnapshot(copy, { name: 'keep', chunkSize: 4 * KiB, storeSize: 4 * MiB });
  fillRandom(data.path, content, 2 * MiB);
  assertSucceeds(cycle());
  assertSameContent(data.path, copy.path);
  const held = openSync(copy.path, 'r');
  tool('lvconvert', '-q', '-y', '--merge', 'vg0/keep');
  const scheduled = cycle();
  closeSync(held);
  assertFails(scheduled, 12, /a merge of vg0\/keep into it is scheduled/);
  tool('lvchange', '-q', '-an', 'vg0/copy');
  tool('lvchange', '-q', '-ay', 'vg0/copy');
  const isMerged = (): boolean => !tool('lvs', '--noheadings', '-a', 'vg0').includes('keep');
  while (!isMerged()) tool('sleep', '1');
  assertFails(cycle(), 12, /or the merge of a snapshot/);
  assertFails(lvmsync(['rollback', '--steps', '1', copy.path, chain]), 12, /or the merge of a/);
});

test('F34: a copy that was written through the device below it is noticed', (t) => {
  const group = new TestVolumeGroup({ size: 48 * MiB, extentSize: MiB });
  t.after(() => {
    tool('dmsetup', 'remove', 'above');
    group.destroy();
  });
  const data = group.createVolume('data', 4 * MiB);
  const below = group.createVolume('below', 4 * MiB);
  const chain = `${scratchFolder()}/chain`;
  const table = `0 ${(4 * MiB) / 512} linear ${below.path} 0`;
  tool('dmsetup', 'create', 'above', '--table', table);
  const copy = '/dev/mapper/above';
  const cycle = (...words: string[]): CliResult =>
    lvmsync(['cycle', ...words, '--size', '4M', '--snapback', chain, 'vg0/data', copy]);
  const content = new ContentRandom();
  fillRandom(data.path, content, MiB);
  assertSucceeds(cycle('--init'));
  group.createSnapshot(data, { name: 'mine', chunkSize: 4 * KiB, storeSize: 4 * MiB });
  fillRandom(data.path, content, 2 * MiB);
  const synced = lvmsync(['--force', 'vg0/mine', below.path]);
  tool('lvremove', '-q', '-f', 'vg0/mine');
  assertSucceeds(synced);
  assert.match(synced.stderr, /above, which shares bytes with .*below, is the copy of the chain/);
  assertFails(cycle(), 12, /which is not a run of this chain/);
});

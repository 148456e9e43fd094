// Copies on disks without LVM: what they are called may lead to another one after a reboot.

import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ChainLaboratory } from '../../helpers/chain/chain-laboratory.js';
import { offlineSource } from '../../helpers/devices/offline-source.js';
import { partitionedDisk } from '../../helpers/devices/partition-tables.js';
import { assertFails, assertSucceeds, type CliResult, lvmsync } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { KiB, MiB } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const random = new Random();
const SPEC = { size: MiB, chunkSize: 16 * KiB, turns: 3, changedChunks: 20 };

interface Disks {
  readonly folder: string;
  /** The node that is the destination; what is behind it changes. */
  readonly path: string;
  attach(file: string): void;
}

function loopDisk(t: TestContext, part = ''): Disks {
  const folder = scratchFolder();
  const loop = tool('losetup', '--find');
  let attached = false;
  const detach = (): void => {
    if (attached) tool('losetup', '--detach', loop);
    attached = false;
  };
  t.after(detach);
  const attach = (file: string): void => {
    detach();
    tool('losetup', '--partscan', loop, file);
    attached = true;
  };
  return { folder, path: `${loop}${part}`, attach };
}

function rollback(chain: ChainLaboratory, path: string): CliResult {
  return lvmsync(['rollback', '--steps', '1', path, chain.chain]);
}

/** A chain of what is behind the name, at its second point. */
async function begin({ folder, path }: Disks): Promise<ChainLaboratory> {
  const chain = new ChainLaboratory(`${folder}/laboratory`, SPEC, random, { destination: path });
  for (let turn = 0; turn <= 1; turn++) {
    const result = await chain.turn(turn);
    assertSucceeds(result);
    assert.doesNotMatch(result.stderr, /no serial number/);
  }
  return chain;
}

async function assertRefusesOther(chain: ChainLaboratory, path: string): Promise<void> {
  const before = readFileSync(path);
  assertFails(await chain.turn(2), 12, /the chain belongs to .*, not to /);
  assertFails(rollback(chain, path), 12, /the chain belongs to .*, not to /);
  assert.ok(readFileSync(path).equals(before), 'the other disk was not written');
}

test('F33: a chain of a disk refuses another one that got its name', async (t) => {
  const disks = loopDisk(t);
  const [own, other] = [`${disks.folder}/own.img`, `${disks.folder}/other.img`];
  writeFileSync(own, Buffer.alloc(SPEC.size));
  writeFileSync(other, Buffer.alloc(SPEC.size, 'another disk '));
  disks.attach(own);
  const chain = await begin(disks);
  disks.attach(other);
  await assertRefusesOther(chain, disks.path);
  disks.attach(own);
  assertSucceeds(await chain.turn(2));
  chain.assertHolds(2);
});

test('F33: a chain of a partition refuses one of another disk in its place', async (t) => {
  const disks = loopDisk(t, 'p1');
  const file = `${disks.folder}/disk.img`;
  writeFileSync(file, partitionedDisk({ signature: 0x1234abcd, size: SPEC.size }));
  disks.attach(file);
  const chain = await begin(disks);
  renameSync(file, `${file}.kept`);
  writeFileSync(file, partitionedDisk({ signature: 0x5678, size: SPEC.size }));
  disks.attach(file);
  await assertRefusesOther(chain, disks.path);
});

test('F33: a chain of a program that knew its disk by name only goes on, and learns what it is', async (t) => {
  const disks = loopDisk(t);
  const own = `${disks.folder}/own.img`;
  const chain = new ChainLaboratory(`${disks.folder}/laboratory`, SPEC, random, {
    destination: own,
  });
  await chain.advanceTo(1);
  disks.attach(own);
  const path = join(chain.chain, 'chain.json');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(own, disks.path));
  assertSucceeds(lvmsync(await onto(chain, 2, disks.path)));
  assert.match(readFileSync(path, 'utf8'), /"identity": "file:.*own.img"/);
  for (const point of [1, 0]) {
    assertSucceeds(rollback(chain, disks.path));
    assert.ok(readFileSync(disks.path).equals(chain.states[point] ?? Buffer.alloc(0)));
  }
  const other = `${disks.folder}/other.img`;
  writeFileSync(other, Buffer.alloc(SPEC.size, 'another disk '));
  disks.attach(other);
  assertFails(lvmsync(await onto(chain, 1, disks.path)), 12, /the chain belongs to .*own.img/);
});

test('F33: a chain of a disk without any identity begins with an advice, others without', async (t) => {
  tool('modprobe', '-d', '/run/modules', 'brd', 'rd_nr=1', `rd_size=${SPEC.size / KiB}`);
  t.after(() => tool('rmmod', 'brd'));
  const [folder, path] = [scratchFolder(), '/dev/ram0'];
  const chain = new ChainLaboratory(`${folder}/laboratory`, SPEC, random, { destination: path });
  const advised = /\/dev\/ram0: it has no serial number and no uuid.*by-id/;
  const first = await chain.turn(0);
  assertSucceeds(first);
  assert.match(first.stderr, advised);
  const second = await chain.turn(1);
  assertSucceeds(second);
  assert.doesNotMatch(second.stderr, advised);
  chain.assertHolds(1);
});

async function onto(chain: ChainLaboratory, number: number, path: string): Promise<string[]> {
  const words = await chain.words(number);
  return [...words.slice(0, -1), path];
}

test('F34: two disks that take turns under one name keep their chains', async (t) => {
  const disks = loopDisk(t);
  const chains = ['one', 'two'].map((name) => {
    const file = `${disks.folder}/${name}.img`;
    writeFileSync(file, Buffer.alloc(SPEC.size));
    const places = { destination: disks.path };
    return { file, chain: new ChainLaboratory(`${disks.folder}/${name}`, SPEC, random, places) };
  });
  for (let turn = 0; turn <= 2; turn++) {
    for (const { file, chain } of chains) {
      disks.attach(file);
      assertSucceeds(await chain.turn(turn));
      chain.assertHolds(turn);
    }
  }
  const [{ file, chain } = assert.fail()] = chains;
  disks.attach(file);
  assertSucceeds(await chain.turn(3));
  writeFileSync(disks.path, 'as dd would');
  assertFails(rollback(chain, disks.path), 12, /something else wrote to it/);
});

test('F34: a run on the file, or on a larger part of it, counts as one on the copy in it', async (t) => {
  const folder = scratchFolder();
  const file = `${folder}/disk.img`;
  writeFileSync(file, Buffer.alloc(4 * MiB));
  const at = (...words: string[]): string => {
    const loop = tool('losetup', '--find', '--show', ...words, file);
    t.after(() => tool('losetup', '--detach', loop));
    return loop;
  };
  const copy = at('--offset', `${MiB}`, '--sizelimit', `${SPEC.size}`);
  const beside = at('--offset', `${2 * MiB}`, '--sizelimit', `${SPEC.size}`);
  const whole = at();
  const places = { destination: copy };
  const chain = new ChainLaboratory(`${folder}/laboratory`, SPEC, random, places);
  await chain.advanceTo(1);
  const { words } = offlineSource(folder, { size: SPEC.size, changedChunks: [3] });
  assertSucceeds(lvmsync([...words, beside]));
  assertSucceeds(await chain.turn(2));
  for (const place of [file, whole]) {
    const synced = lvmsync(['--force', ...words, place]);
    assertSucceeds(synced);
    assert.match(synced.stderr, /which shares bytes with .*, is the copy of the chain/, place);
    assertFails(await chain.turn(3), 12, /which is not a run of this chain/);
    assertSucceeds(await chain.turn(3, ['--force']));
    assertSucceeds(rollback(chain, copy));
    assertSucceeds(lvmsync(['rollback', '--redo', copy, chain.chain]));
    assertSucceeds(rollback(chain, copy));
  }
});

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { assertFails, lvmsync, syncs } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  assertSameContent,
  fillRandom,
  saveContent,
  scattered,
  writeRandom,
} from '../harness/content.js';
import { KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

describe('a destination that must not be written is refused and stays as it was', () => {
  const random = new Random();
  const folder = scratchFolder();
  let group: TestVolumeGroup;
  let origin: LogicalVolume;
  let snapshot: LogicalVolume;

  before(() => {
    group = new TestVolumeGroup({ size: 300 * MiB });
    origin = group.createVolume('data', 16 * MiB);
    fillRandom(origin.path, random, origin.size);
    snapshot = group.createSnapshot(origin, { chunkSize: 4 * KiB });
    writeRandom(origin.path, random, scattered(random, origin.size, { count: 50, length: 4096 }));
  });
  after(() => group.destroy());

  const refused = (destination: string, message: RegExp): void => {
    const untouched = `${folder}/untouched`;
    saveContent(destination, untouched);
    assertFails(lvmsync([snapshot.path, destination]), EXIT.destinationUnfit, message);
    assertSameContent(destination, untouched);
  };

  test('a smaller volume', () => {
    const small = group.createVolume('small', 12 * MiB);
    fillRandom(small.path, random, small.size);
    refused(small.path, /too small/i);
    group.remove(small);
  });

  test('a path that does not exist, which is not created', () => {
    const missing = `${folder}/missing`;
    assertFails(lvmsync([snapshot.path, missing]), EXIT.destinationUnfit, /missing/);
    assert.equal(existsSync(missing), false);
  });

  test('a folder', () => {
    const result = lvmsync([snapshot.path, folder]);
    assertFails(result, EXIT.destinationUnfit, /it is a directory/);
  });

  test('a mounted volume', () => {
    const copy = group.createVolume('copy', 16 * MiB);
    const mountPoint = `${folder}/mounted`;
    mkdirSync(mountPoint);
    tool('mkfs.ext4', '-q', copy.path);
    tool('mount', '-o', 'ro', copy.path, mountPoint);
    try {
      refused(copy.path, /mounted|in use/i);
    } finally {
      tool('umount', mountPoint);
    }
    group.remove(copy);
  });

  test('a mounted volume is written with --force', () => {
    const copy = group.createVolume('copy', 16 * MiB);
    const mountPoint = `${folder}/forced`;
    mkdirSync(mountPoint);
    tool('mkfs.ext4', '-q', copy.path);
    tool('mount', '-o', 'ro', copy.path, mountPoint);
    try {
      saveContent(copy.path, `${folder}/expected`);
      const stream = `${folder}/stream`;
      syncs(['--stdout', snapshot.path], { stdoutFile: stream });
      syncs(['--apply', stream, `${folder}/expected`]);
      syncs(['--force', snapshot.path, copy.path]);
      assertSameContent(copy.path, `${folder}/expected`);
    } finally {
      tool('umount', mountPoint);
    }
    group.remove(copy);
  });

  const ownFamily: Readonly<Record<string, () => string>> = {
    'the origin itself': () => origin.path,
    'the snapshot itself': () => snapshot.path,
    'the hidden volume under the origin': () => `${origin.path}-real`,
    "the snapshot's COW store": () => `${snapshot.path}-cow`,
    'the physical volume below': () => group.loopDevice,
    'the file behind the physical volume': () => group.backingFile,
  };
  for (const [name, destination] of Object.entries(ownFamily)) {
    test(name, () => refused(destination(), /./));
  }

  test('a volume that another program claims', () => {
    const copy = group.createVolume('copy', 16 * MiB);
    tool('mkswap', '-q', copy.path);
    tool('swapon', copy.path);
    try {
      refused(copy.path, /swap|in use/i);
    } finally {
      tool('swapoff', copy.path);
    }
    group.remove(copy);
  });

  test('a read-only volume', () => {
    const copy = group.createVolume('copy', 16 * MiB);
    tool('lvchange', '-q', '-pr', `${group.name}/${copy.lvName}`);
    refused(copy.path, /read-only/i);
    group.remove(copy);
  });
});

import assert from 'node:assert/strict';
import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { describe, type TestContext } from 'node:test';
import { DrawnTests, someOf } from '../../helpers/faults/campaign.js';
import { ENGINES, lvmsync, syncs } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  assertSameContent,
  fillRandom,
  saveContent,
  scattered,
  writeRandom,
} from '../harness/content.js';
import {
  deviceSize,
  KiB,
  type LogicalVolume,
  loopDevice,
  MiB,
  TestVolumeGroup,
  type VolumeGroupOptions,
} from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const random = new Random();
const CHUNK = 4 * KiB;

/** A volume group for one test, with a filled origin. */
function lab(t: TestContext, options: VolumeGroupOptions & { originSize?: number } = {}) {
  const group = new TestVolumeGroup({ size: 200 * MiB, ...options });
  t.after(() => group.destroy());
  const origin = group.createVolume('data', options.originSize ?? 16 * MiB);
  fillRandom(origin.path, random, origin.size);
  return { group, origin };
}

/** A copy of the origin on a new volume of the group. */
function copyOf(group: TestVolumeGroup, origin: LogicalVolume): LogicalVolume {
  const copy = group.createVolume('copy', origin.size);
  saveContent(origin.path, copy.path);
  return copy;
}

function scribble(origin: LogicalVolume): void {
  writeRandom(origin.path, random, scattered(random, origin.size, { count: 60, length: CHUNK }));
}

describe('names', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  scenario('hyphens in the names of group and volumes are no obstacle', (t) => {
    const { group, origin } = lab(t, { name: 'my-vg' });
    const strange = group.createVolume('da-ta--x', 16 * MiB);
    const copy = group.createVolume('co-py', 16 * MiB);
    saveContent(origin.path, strange.path);
    saveContent(origin.path, copy.path);
    const snapshot = group.createSnapshot(strange, { name: 'snap-shot--y', chunkSize: CHUNK });
    for (const subject of [snapshot.path, '/dev/my-vg/snap-shot--y', 'my-vg/snap-shot--y']) {
      scribble(strange);
      syncs([subject, `/dev/my-vg/${copy.lvName}`]);
      assertSameContent(strange.path, copy.path);
    }
  });

  scenario('dots, plus signs and underscores in names are no obstacle', (t) => {
    const { group, origin } = lab(t, { name: 'v.g+1_x' });
    const copy = copyOf(group, origin);
    const snapshot = group.createSnapshot(origin, { name: 's.n+a_p', chunkSize: CHUNK });
    scribble(origin);
    syncs([snapshot.path, copy.path]);
    assertSameContent(origin.path, copy.path);
  });

  tests.run(1, random);
});

describe('destinations', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  scenario('a volume of another group', (t) => {
    const { group, origin } = lab(t);
    const other = new TestVolumeGroup({ name: 'other', size: 64 * MiB });
    t.after(() => other.destroy());
    const copy = copyOf(other, origin);
    const snapshot = group.createSnapshot(origin, { chunkSize: CHUNK });
    scribble(origin);
    syncs([snapshot.path, copy.path]);
    assertSameContent(origin.path, copy.path);
  });

  for (const engine of someOf(ENGINES, 1, random)) {
    scenario(`a regular file (${engine})`, (t) => {
      const { group, origin } = lab(t);
      const file = `${scratchFolder()}/image`;
      saveContent(origin.path, file);
      const snapshot = group.createSnapshot(origin, { chunkSize: CHUNK });
      scribble(origin);
      syncs([snapshot.path, file], { engine });
      assertSameContent(origin.path, file);
    });
  }

  scenario('a larger volume keeps what lies behind the end of the source', (t) => {
    const { group, origin } = lab(t);
    const copy = group.createVolume('copy', 24 * MiB);
    fillRandom(copy.path, random, copy.size);
    const former = `${scratchFolder()}/former`;
    saveContent(copy.path, former);
    const snapshot = group.createSnapshot(origin, { chunkSize: CHUNK });
    writeRandom(origin.path, random, [{ offset: 0, length: origin.size }]);
    syncs([snapshot.path, copy.path]);
    assertSameContent(origin.path, copy.path, origin.size);
    const skip = `--ignore-initial=${origin.size}`;
    tool('cmp', skip, former, copy.path);
  });

  tests.run(2, random);
});

describe('geometry', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  for (const engine of someOf(ENGINES, 1, random)) {
    scenario(`a last chunk that reaches beyond the origin is cut to its end (${engine})`, (t) => {
      const { group, origin } = lab(t, { extentSize: 128 * KiB, originSize: 8 * MiB + 128 * KiB });
      const chunkSize = 512 * KiB;
      assert.notEqual(origin.size % chunkSize, 0, 'the origin ends inside a chunk');
      const copy = copyOf(group, origin);
      const snapshot = group.createSnapshot(origin, { chunkSize });
      writeRandom(origin.path, random, [
        { offset: 3 * MiB, length: CHUNK },
        { offset: origin.size - CHUNK, length: CHUNK },
      ]);
      const transferred = syncs([snapshot.path, copy.path], { engine });
      assert.equal(transferred, chunkSize + 128 * KiB);
      assertSameContent(origin.path, copy.path);
    });

    scenario(`physical sectors of 4096 bytes under the volumes (${engine})`, (t) => {
      const { group, origin } = lab(t, { sectorSize: 4096 });
      assert.equal(tool('blockdev', '--getss', origin.path), '4096');
      const copy = copyOf(group, origin);
      const snapshot = group.createSnapshot(origin, { chunkSize: CHUNK });
      scribble(origin);
      syncs([snapshot.path, copy.path], { engine });
      assertSameContent(origin.path, copy.path);
    });
  }

  scenario('a destination of 4096-byte sectors for a source of 512-byte ones', (t) => {
    const { group, origin } = lab(t);
    const file = `${scratchFolder()}/disk`;
    const device = loopDevice(file, origin.size, 4096);
    t.after(() => tool('losetup', '-d', device));
    assert.equal(deviceSize(device), origin.size);
    saveContent(origin.path, device);
    const snapshot = group.createSnapshot(origin, { chunkSize: CHUNK });
    scribble(origin);
    syncs([snapshot.path, device]);
    assertSameContent(origin.path, device);
  });

  scenario('the tail of an origin that grew after the snapshot is sent whole', (t) => {
    const { group, origin } = lab(t);
    const snapshot = group.createSnapshot(origin, { chunkSize: CHUNK });
    const lv = `${group.name}/${origin.lvName}`;
    const former = `${scratchFolder()}/former`;
    saveContent(origin.path, former);
    tool('lvchange', '-an', '-y', lv);
    tool('lvextend', '-q', '-L', '24m', lv);
    tool('lvchange', '-ay', lv);
    const grown = group.volume('data');
    assert.equal(grown.size, 24 * MiB);
    const copy = group.createVolume('copy', grown.size);
    tool('dd', `if=${former}`, `of=${copy.path}`, 'bs=1M', 'status=none');
    scribble(grown);
    syncs([snapshot.path, copy.path]);
    assertSameContent(grown.path, copy.path);
  });

  tests.run(3, random);
});

describe('sources', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  scenario('--data-source takes the data of the listed chunks from another device', (t) => {
    const { group, origin } = lab(t);
    const copy = copyOf(group, origin);
    const snapshot = group.createSnapshot(origin, { chunkSize: CHUNK });
    scribble(origin);
    const frozen = `${scratchFolder()}/frozen`;
    saveContent(origin.path, frozen);
    scribble(origin);
    syncs(['--data-source', frozen, snapshot.path, copy.path]);
    assertSameContent(frozen, copy.path);
  });

  scenario('writes that are still in the page cache of the origin are sent too', (t) => {
    const { group, origin } = lab(t);
    const copy = copyOf(group, origin);
    const snapshot = group.createSnapshot(origin, { chunkSize: CHUNK });
    // An open descriptor keeps the kernel from writing back, as closing the device would.
    const holder = openSync(origin.path, 'r+');
    try {
      writeSync(holder, random.bytes(MiB), 0, MiB, 4 * MiB);
      syncs([snapshot.path, copy.path]);
    } finally {
      closeSync(holder);
    }
    assertSameContent(origin.path, copy.path);
  });

  scenario(
    'F3: a regular file grows as the origin did; one that is shorter than the origin was is refused',
    (t) => {
      const { group, origin } = lab(t);
      const file = `${scratchFolder()}/image`;
      saveContent(origin.path, file);
      const former = statSync(file).size;
      const snapshot = group.createSnapshot(origin, { chunkSize: CHUNK });
      const lv = `${group.name}/${origin.lvName}`;
      tool('lvchange', '-an', '-y', lv);
      tool('lvextend', '-q', '-L', '24m', lv);
      tool('lvchange', '-ay', lv);
      scribble(group.volume('data'));
      const shorter = `${file}-shorter`;
      tool('cp', file, shorter);
      tool('truncate', '-s', '-1', shorter);
      for (const words of [
        [snapshot.path, shorter],
        ['verify', snapshot.path, shorter],
      ]) {
        const refused = lvmsync(words);
        assert.equal(refused.status, 12, refused.stderr);
        assert.match(
          refused.stderr,
          new RegExp(`too short to be a copy: .* the source had .*${former} bytes`),
        );
        assert.equal(statSync(shorter).size, former - 1);
      }
      syncs([snapshot.path, file]);
      assertSameContent(group.volume('data').path, file);
    },
  );

  tests.run(2, random);
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, statSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { DrawnTests, someOf } from '../../helpers/faults/campaign.js';
import { assertFails, CLI, lvmsync, syncs } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  assertDifferentContent,
  assertSameContent,
  fillRandom,
  saveContent,
  scattered,
  writeRandom,
} from '../harness/content.js';
import { KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { HOST, SshServer } from '../harness/sshd.js';
import {
  discard,
  mappedBytes,
  shellForSsh,
  TestThinPool,
  useOwnStateFolder,
} from '../harness/thin.js';
import { tool } from '../harness/tool.js';

useOwnStateFolder();

const random = new Random();
const folder = scratchFolder();
const rsh = shellForSsh();
const server = SshServer.missing() === undefined ? SshServer.start() : undefined;
after(() => server?.stop());

/** Whole blocks that are discarded, on every block size here. */
const DISCARDED = { offset: 3 * MiB, length: 3 * MiB };

/** Everything that can happen to a block: overwritten, first written, discarded, and combinations. */
function change(volume: LogicalVolume, written: number): void {
  const { path, size } = volume;
  writeRandom(path, random, [
    ...scattered(random, written, { count: 20, length: 4 * KiB }),
    // Where nothing was before.
    { offset: written + 2 * MiB, length: 100 * KiB },
    { offset: size - 4 * KiB, length: 4 * KiB },
    // Written and then discarded with what surrounds it.
    { offset: DISCARDED.offset + 64 * KiB, length: 4 * KiB },
    { offset: written + 5 * MiB, length: 8 * KiB },
  ]);
  discard(path, DISCARDED.offset, DISCARDED.length);
  discard(path, written + 4 * MiB, 3 * MiB);
  // Part of a block, which unmaps nothing; and a block that is discarded and then written.
  discard(path, 9 * MiB + 4 * KiB, 32 * KiB);
  discard(path, 12 * MiB, 3 * MiB);
  writeRandom(path, random, [{ offset: 13 * MiB, length: 4 * KiB }]);
}

for (const blockSize of someOf([64 * KiB, 192 * KiB, MiB], 1, random)) {
  describe(`a thin snapshot with data blocks of ${blockSize / KiB} KiB`, () => {
    const size = 28 * MiB;
    const written = 18 * MiB;
    const former = `${folder}/former`;
    const snapback = `${folder}/snapback`;
    const file = `${folder}/copy`;
    let group: TestVolumeGroup;
    let data: LogicalVolume;
    const copies: Record<string, LogicalVolume> = {};

    before(() => {
      group = new TestVolumeGroup({ size: 360 * MiB });
      const pool = new TestThinPool(group, { size: 132 * MiB, blockSize });
      const second = new TestThinPool(group, {
        name: 'second',
        size: 48 * MiB,
        blockSize: 128 * KiB,
      });
      data = pool.createVolume('data', size);
      const other = pool.createVolume('other', 8 * MiB);
      fillRandom(data.path, random, written);
      fillRandom(other.path, random, 4 * MiB);
      const snapshot = pool.snapshot(data, 'snap');
      saveContent(snapshot.path, former);
      change(data, written);
      writeRandom(
        other.path,
        random,
        scattered(random, other.size, { count: 20, length: 4 * KiB }),
      );
      copies.linear = group.createVolume('linear', size);
      copies.near = pool.createVolume('near', size);
      copies.far = second.createVolume('far', size);
    });
    beforeEach(() => rmSync(snapback, { force: true }));
    after(() => group.destroy());

    /** What the destination takes of its pool or file system. */
    const space = (path: string): number => {
      const volume = Object.values(copies).find((copy) => copy.path === path);
      return volume === undefined ? statSync(path).blocks * 512 : mappedBytes(volume);
    };
    const presynced = (name: string): string => {
      const path = copies[name]?.path ?? file;
      saveContent(former, path);
      assertDifferentContent(data.path, path);
      return path;
    };

    for (const [name, what, givesBack] of [
      ['linear', 'a linear volume', false],
      ['near', 'a thin volume of the same pool', true],
      ['far', 'a thin volume of another pool', true],
      ['file', 'a file', true],
    ] as const) {
      test(`is synced to ${what}, and undone`, () => {
        const path = presynced(name);
        const before = givesBack ? space(path) : 0;
        syncs(['--snapback', snapback, `${group.name}/snap`, path]);
        assertSameContent(data.path, path);
        if (givesBack) {
          const freed = before - space(path);
          assert.ok(freed >= DISCARDED.length / 2, `${freed} bytes were given back`);
        }
        syncs(['--apply', snapback, path]);
        assertSameContent(former, path);
      });
    }

    for (const name of ['near', 'file']) {
      test(`keeps the space of the destination under --no-discard (${name})`, () => {
        const path = presynced(name);
        const before = space(path);
        syncs(['--no-discard', `${group.name}/snap`, path]);
        assertSameContent(data.path, path);
        assert.equal(space(path), before);
      });
    }

    for (const [how, words, host] of [
      ['a remote shell', rsh, 'h'],
      ['ssh', [], HOST.right],
    ] as const) {
      const skip = how === 'ssh' && (SshServer.missing() ?? false);
      test(`is sent through ${how}, discards and all, and undone`, { skip }, () => {
        const path = presynced('far');
        const before = space(path);
        const options = [...words, '--require-ack', '--snapback', snapback];
        syncs([...options, `${group.name}/snap`, `${host}:${path}`]);
        assertSameContent(data.path, path);
        assert.ok(before - space(path) >= DISCARDED.length, 'discards travel');
        syncs(['--apply', snapback, path]);
        assertSameContent(former, path);
      });
    }

    test('is sent as a classic stream, with zeros for discards', () => {
      const path = presynced('far');
      const before = space(path);
      syncs([...rsh, '--format=classic', `${group.name}/snap`, `h:${path}`]);
      assertSameContent(data.path, path);
      assert.equal(space(path), before);
    });

    test('says in one line each what it reserved, read, released and found', () => {
      const path = presynced('linear');
      const { status, stderr } = lvmsync(['-v', `${group.name}/snap`, path]);
      assert.equal(status, 0, stderr);
      const lines = stderr.split('\n');
      const [first = -1, ...others] = [
        /^vg0\/pool: reserved its metadata snap \(root \d+\)$/,
        /^vg0\/pool: read the mappings of vg0\/snap and vg0\/data$/,
        /^vg0\/pool: released its metadata snap$/,
        /^vg0\/data: .* changed since vg0\/snap, .* discarded, in blocks of /,
      ].map((wanted) => lines.findIndex((line) => wanted.test(line)));
      assert.ok(first >= 0, stderr);
      assert.deepEqual(others, [first + 1, first + 2, first + 3], stderr);
    });
  });
}

describe('thin volumes that are not so plain', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  // 28 MiB and 36 MiB are no multiple of it.
  const blockSize = 192 * KiB;
  const small = 28 * MiB;
  const large = 36 * MiB;
  const copy = `${folder}/copy`;
  let group: TestVolumeGroup;
  let pool: TestThinPool;
  let data: LogicalVolume;

  beforeEach((t) => {
    group = new TestVolumeGroup({ size: 360 * MiB });
    pool = new TestThinPool(group, { size: 160 * MiB, blockSize });
    data = pool.createVolume('data', small);
    fillRandom(data.path, random, 12 * MiB);
    rmSync(copy, { force: true });
    if ('after' in t) t.after(() => group.destroy());
  });
  const snapshotAndCopy = (lvName: string, origin = data): LogicalVolume => {
    const snapshot = pool.snapshot(origin, lvName);
    saveContent(snapshot.path, copy);
    return snapshot;
  };
  /** What was beyond the end of the copy is anything. */
  const growCopy = (): void => {
    writeRandom(copy, random, [{ offset: small, length: large - small }]);
  };
  const resize = (words: readonly string[], size: number): void => {
    tool(...words, '-q', '-y', '-L', `${size}b`, `${group.name}/data`);
    data = group.volume('data');
    assert.equal(data.size, size);
  };

  scenario('a volume that grew: what it gained is written, or made to read as zeros', () => {
    snapshotAndCopy('snap');
    resize(['lvextend'], large);
    change(data, 12 * MiB);
    writeRandom(data.path, random, [{ offset: 33 * MiB, length: 5 * KiB }]);
    growCopy();
    syncs(['vg0/snap', copy]);
    assertSameContent(data.path, copy);
  });

  scenario('a volume that was larger before: what shows again when it grows is written', () => {
    resize(['lvextend'], large);
    writeRandom(data.path, random, [
      { offset: small - 100 * KiB, length: large - small + 100 * KiB },
    ]);
    saveContent(data.path, `${folder}/large`);
    resize(['lvreduce', '-f'], small);
    snapshotAndCopy('snap');
    resize(['lvextend'], large);
    assertSameContent(data.path, `${folder}/large`);
    growCopy();
    syncs(['vg0/snap', copy]);
    assertSameContent(data.path, copy);
  });

  scenario('a volume that was made smaller', () => {
    writeRandom(data.path, random, scattered(random, small, { count: 50, length: 4 * KiB }));
    snapshotAndCopy('snap');
    writeRandom(data.path, random, scattered(random, small, { count: 50, length: 4 * KiB }));
    resize(['lvreduce', '-f'], 20 * MiB);
    syncs(['vg0/snap', copy]);
    assertSameContent(data.path, copy, 20 * MiB);
  });

  scenario('a snapshot of a snapshot', () => {
    const first = pool.snapshot(data, 'first');
    snapshotAndCopy('second', first);
    change(first, 12 * MiB);
    syncs(['vg0/second', copy]);
    assertSameContent(first.path, copy);
  });

  scenario('an origin that was removed: refused with a hint, which works', () => {
    snapshotAndCopy('old');
    change(data, 12 * MiB);
    const newer = pool.snapshot(data, 'new');
    tool('lvremove', '-q', '-f', 'vg0/data');
    const result = lvmsync(['vg0/old', copy]);
    assertFails(result, EXIT.sourceUnfit, /origin was removed/);
    assert.match(result.stderr, /lvmsync --since vg0\/old NEWER DESTINATION/);
    syncs(['--since', 'vg0/old', 'vg0/new', copy]);
    assertSameContent(newer.path, copy);
  });

  scenario('two snapshots, while the origin is being written: one point in time', async () => {
    snapshotAndCopy('old');
    change(data, 12 * MiB);
    const newer = pool.snapshot(data, 'new');
    const script =
      'while dd if=/dev/urandom of="$1" bs=64k count=40 seek=20 conv=fsync; do :; done';
    const writer = spawn('sh', ['-c', script, 'sh', data.path], {
      stdio: 'ignore',
      detached: true,
    });
    try {
      syncs(['--since', 'vg0/old', 'vg0/new', copy]);
      assert.equal(writer.exitCode, null, 'it was being written all the time');
    } finally {
      process.kill(-(writer.pid ?? 0), 'SIGKILL');
      await once(writer, 'close');
    }
    assertSameContent(newer.path, copy);
    assertDifferentContent(newer.path, data.path);
  });

  scenario(
    'data from a newer snapshot: what was discarded only afterwards is not made zeros',
    () => {
      snapshotAndCopy('old');
      writeRandom(data.path, random, [{ offset: 0, length: 200 * KiB }]);
      const newer = pool.snapshot(data, 'new');
      discard(data.path, 3 * MiB, 3 * MiB);
      syncs(['--data-source', newer.path, 'vg0/old', copy]);
      assertSameContent(newer.path, copy);
    },
  );

  scenario('an external origin, which shows through where a block was discarded', () => {
    const external = group.createVolume('external', small);
    fillRandom(external.path, random, small);
    tool('lvchange', '-q', '-an', 'vg0/external');
    tool('lvchange', '-q', '-pr', 'vg0/external');
    tool('lvcreate', '-q', '-y', '-kn', '-s', '--thinpool', 'pool', '-n', 'ext', 'vg0/external');
    const volume = group.volume('ext');
    writeRandom(volume.path, random, [{ offset: 0, length: 10 * MiB }]);
    snapshotAndCopy('snap', volume);
    change(volume, 12 * MiB);
    syncs(['vg0/snap', copy]);
    assertSameContent(volume.path, copy);
  });

  scenario(
    'a volume that is not active: refused with the command that activates it, which works',
    () => {
      snapshotAndCopy('snap');
      change(data, 12 * MiB);
      tool('lvchange', '-q', '-an', 'vg0/snap', 'vg0/data');
      for (const others of ['all inactive', 'the snapshot active']) {
        if (others !== 'all inactive') tool('lvchange', '-q', '-ay', 'vg0/snap');
        const result = lvmsync(['vg0/snap', copy]);
        assertFails(result, EXIT.sourceUnfit, /vg0\/data: inactive/);
        assert.match(result.stderr, /lvchange -ay -K vg0\/data/, others);
      }
      tool('lvchange', '-q', '-an', 'vg0/snap');
      tool('lvchange', '-ay', '-K', 'vg0/data');
      syncs(['vg0/snap', copy]);
      assertSameContent(data.path, copy);
    },
  );

  scenario('a sparse copy of an inactive snapshot, then one point in time after the other', () => {
    tool('lvcreate', '-q', '-s', '-n', 'mail-snap', 'vg0/data');
    tool('lvchange', '-ay', '-K', 'vg0/mail-snap');
    const mail = pool.createVolume('mail', small);
    const sparse = ['bs=64K', 'iflag=fullblock', 'conv=sparse,fsync', 'status=none'];
    tool('dd', 'if=/dev/vg0/mail-snap', `of=${mail.path}`, ...sparse);
    assertSameContent('/dev/mapper/vg0-mail--snap', mail.path);
    assert.ok(mappedBytes(mail) < 13 * MiB, 'what is not mapped was not copied');
    for (const [older, newer] of [
      ['mail-snap', 'mail-snap2'],
      ['mail-snap2', 'mail-snap3'],
    ] as const) {
      change(data, 12 * MiB);
      tool('lvcreate', '-q', '-s', '-n', newer, 'vg0/data');
      tool('lvchange', '-ay', '-K', `vg0/${newer}`);
      writeRandom(data.path, random, [{ offset: 0, length: MiB }]);
      syncs(['--since', `vg0/${older}`, `vg0/${newer}`, mail.path]);
      tool('lvremove', '-q', '-f', `vg0/${older}`);
      assertSameContent(group.volume(newer).path, mail.path);
    }
    syncs(['vg0/mail-snap3', mail.path]);
    assertSameContent(data.path, mail.path);
  });

  scenario('two runs at once on one pool: both succeed', async () => {
    const second = pool.createVolume('second', small);
    fillRandom(second.path, random, 8 * MiB);
    const runs = [data, second].map((volume) => {
      const path = `${copy}-${volume.lvName}`;
      const snapshot = pool.snapshot(volume, `snap-${volume.lvName}`);
      saveContent(snapshot.path, path);
      change(volume, 12 * MiB);
      return { volume, path, name: `vg0/${snapshot.lvName}` };
    });
    const statuses = await Promise.all(
      runs.map(async ({ name, path }) => {
        const child = spawn(process.execPath, [CLI, '-v', name, path], { stdio: 'inherit' });
        return (await once(child, 'exit'))[0];
      }),
    );
    assert.deepEqual(statuses, [0, 0]);
    for (const { volume, path } of runs) {
      assertSameContent(volume.path, path);
      rmSync(path);
    }
    assert.equal(pool.heldRoot(), '-');
  });

  tests.run(6, random);
});

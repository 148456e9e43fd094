import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT } from '../../../src/base/errors.js';
import { campaignSize, DrawnTests, someOf } from '../../helpers/faults/campaign.js';
import { assertFails, CLI, lvmsync, runTool, syncs } from '../../helpers/program/cli.js';
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
  KiB,
  type LogicalVolume,
  MiB,
  reloadTable,
  replaceSegment,
  TestVolumeGroup,
} from '../harness/lvm.js';
import { FakeReservation, FakeThinDump, TestThinPool, useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

useOwnStateFolder();

const BEGINNING = /I\/O through/;
const RESERVED = /reserved its metadata snap/;
const random = new Random();
/** Every third of the twenty moments for a commit. */
const STEP = campaignSize({ commit: 3, release: 1 });
const folder = scratchFolder();
const copy = `${folder}/copy`;
const thinDump = new FakeThinDump();
const reservation = new FakeReservation();

interface Machine {
  readonly group: TestVolumeGroup;
  readonly pool: TestThinPool;
  readonly data: LogicalVolume;
}

/** A thin volume `vg0/data` with changes since its snapshot `vg0/snap`, which the copy holds. */
function setUp(sizes: { readonly pool?: number; readonly metadata?: number } = {}): Machine {
  const group = new TestVolumeGroup({ size: 128 * MiB, extentSize: MiB });
  const pool = new TestThinPool(group, {
    size: sizes.pool ?? 64 * MiB,
    blockSize: 64 * KiB,
    metadataSize: sizes.metadata ?? 4 * MiB,
  });
  const data = pool.createVolume('data', 24 * MiB);
  fillRandom(data.path, random, 4 * MiB);
  const snapshot = pool.snapshot(data, 'snap');
  saveContent(snapshot.path, copy);
  writeRandom(data.path, random, scattered(random, 4 * MiB, { count: 30, length: 4 * KiB }));
  return { group, pool, data };
}

async function assertReleasedSoon(pool: TestThinPool): Promise<void> {
  const deadline = Date.now() + 5000;
  while (pool.heldRoot() !== '-' && Date.now() < deadline) await delay(50);
  assert.equal(pool.heldRoot(), '-', 'the root that the pool holds');
}

describe('a metadata snap that is held when a run ends', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  let machine: Machine;
  before(() => {
    machine = setUp();
  });
  afterEach(() => {
    thinDump.asAlways();
    reservation.asAlways();
  });
  after(() => machine.group.destroy());

  /** In a process group of its own, as a shell starts it. */
  const start = (): ChildProcess =>
    spawn(process.execPath, [CLI, '-v', 'vg0/snap', copy], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
  /** Milliseconds from now until it has said so; what it says after that is read by who asks next. */
  const said = async (child: ChildProcess, words: RegExp): Promise<number> => {
    const started = performance.now();
    let text = '';
    assert.ok(child.stderr);
    for await (const chunk of child.stderr.iterator({ destroyOnReturn: false })) {
      text += chunk;
      if (words.test(text)) return performance.now() - started;
    }
    assert.fail(`it ended without ${words}:\n${text}`);
  };
  const succeedsAfterwards = (): void => {
    syncs(['vg0/snap', copy]);
    assertSameContent(machine.data.path, copy);
    assert.equal(machine.pool.heldRoot(), '-');
  };

  scenario('is released within seconds after SIGKILL, at many moments', async () => {
    thinDump.before('sleep 0.3');
    const { pool } = machine;
    const trial = start();
    const trialEnded = once(trial, 'exit');
    await said(trial, BEGINNING);
    const preparation = await said(trial, RESERVED);
    trial.kill('SIGKILL');
    await trialEnded;
    await assertReleasedSoon(pool);
    let whileHeld = 0;
    for (let moment = 0; moment < 20; moment += STEP) {
      const child = start();
      const ended = once(child, 'exit');
      const before = moment < 10;
      await said(child, before ? BEGINNING : RESERVED);
      await delay(before ? preparation * (0.6 + moment * 0.05) : (moment - 10) * 40);
      child.kill('SIGKILL');
      await ended;
      if (pool.heldRoot() !== '-') whileHeld++;
      await assertReleasedSoon(pool);
    }
    console.log(`# it was held at ${whileHeld} of ${20 / STEP} moments`);
    assert.ok(whileHeld >= 5 / STEP, `${whileHeld} came while it was held`);
    thinDump.asAlways();
    succeedsAfterwards();
    assert.deepEqual(readdirSync('/var/lib/lvmsync'), [], 'no record is left');
  });

  const signals = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).flatMap((name) =>
    (['the program', 'its process group'] as const).map((whom) => ({ name, whom })),
  );
  for (const { name, whom } of someOf(signals, 2, random)) {
    scenario(`is released after ${name} to ${whom}, and the status is 128+n`, async () => {
      thinDump.before('sleep 1');
      const child = start();
      const ended = once(child, 'exit');
      await said(child, RESERVED);
      const { pid = 0 } = child;
      process.kill(whom === 'the program' ? pid : -pid, name);
      const [status] = await ended;
      assert.equal(status, 128 + constants.signals[name]);
      assert.equal(machine.pool.heldRoot(), '-');
    });
  }

  for (const [what, script] of [
    ['fails', 'echo "bad checksum" >&2; exit 1'],
    ['is killed', 'kill -KILL $$'],
    ['prints half a dump and ends with 0', 'original "$@" | head -n 2; exit 0'],
  ] as const) {
    scenario(`is released when thin_dump ${what}, and the status is 18`, () => {
      thinDump.before(script);
      saveContent(copy, `${copy}.before`);
      assertFails(lvmsync(['vg0/snap', copy]), EXIT.pool, /thin_dump/);
      assert.equal(machine.pool.heldRoot(), '-');
      assertSameContent(copy, `${copy}.before`);
      rmSync(`${copy}.before`);
    });
  }

  /** The watcher first, so that nobody is left to release anything; then all of the run. */
  const killWithWatcher = async (child: ChildProcess): Promise<void> => {
    const ended = once(child, 'exit');
    const { pid = 0 } = child;
    const watcher = tool('pgrep', '-P', `${pid}`, '-f', 'pool-watcher');
    process.kill(Number(watcher), 'SIGKILL');
    process.kill(-pid, 'SIGKILL');
    await ended;
  };
  const releasedByNextRun = (): void => {
    const { status, stderr } = lvmsync(['vg0/snap', copy]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /released the metadata snap that a crashed run left \(root \d+\)/);
    assertSameContent(machine.data.path, copy);
    assert.equal(machine.pool.heldRoot(), '-');
    assert.ok(!existsSync(machine.pool.recordPath()), 'no record is left');
  };
  /** As nobody would do who is still there. */
  const assertStaysHeld = async (held: string): Promise<void> => {
    await delay(1500);
    assert.notEqual(held, '-');
    assert.equal(machine.pool.heldRoot(), held);
  };

  scenario('is released by the next run, if its watcher was killed, too', async () => {
    thinDump.before('sleep 2');
    const child = start();
    await said(child, RESERVED);
    await killWithWatcher(child);
    thinDump.asAlways();
    await assertStaysHeld(machine.pool.heldRoot());
    releasedByNextRun();
  });

  scenario('F10: is released by the next run, if it was killed with its container', async () => {
    thinDump.before('sleep 1000');
    const words = [
      '--pid',
      '--fork',
      '--mount-proc',
      process.execPath,
      CLI,
      '-v',
      'vg0/snap',
      copy,
    ];
    const container = spawn('unshare', words, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = once(container, 'exit');
    await said(container, RESERVED);
    // With the first of its processes all others go, the watcher, too.
    process.kill(Number(tool('pgrep', '-P', `${container.pid}`)), 'SIGKILL');
    await ended;
    thinDump.asAlways();
    await assertStaysHeld(machine.pool.heldRoot());
    releasedByNextRun();
  });

  /** Both are killed when the pool holds it, and the record says only that it was about to. */
  const dieHavingAnnounced = async (): Promise<void> => {
    const reserved = `${folder}/reserved`;
    reservation.before(`original "$@"; touch ${reserved}; sleep 1; exit 0`);
    const child = start();
    while (!existsSync(reserved)) {
      assert.equal(child.exitCode, null, 'it runs');
      await delay(20);
    }
    await killWithWatcher(child);
    rmSync(reserved);
    reservation.asAlways();
    const record: unknown = JSON.parse(readFileSync(machine.pool.recordPath(), 'utf8'));
    assert.ok(typeof record === 'object' && record !== null && !('heldRoot' in record));
    await assertStaysHeld(machine.pool.heldRoot());
  };

  scenario('is released by the next run, if the run died before it knew what it held', async () => {
    await dieHavingAnnounced();
    releasedByNextRun();
  });

  scenario(
    'is left alone if that was before the pool’s last transaction: it may be another’s',
    async () => {
      const { group, pool } = machine;
      await dieHavingAnnounced();
      tool('lvcreate', '-q', '-y', '-kn', '-s', '-n', 'later', `${group.name}/data`);
      const held = pool.heldRoot();
      assertFails(lvmsync(['vg0/snap', copy]), EXIT.pool, /metadata snap is already held/);
      assert.equal(pool.heldRoot(), held);
      pool.send('release_metadata_snap');
      tool('lvremove', '-q', '-f', `${group.name}/later`);
      succeedsAfterwards();
    },
  );

  scenario(
    'is left alone if it is somebody else’s: status 18, and the command to release it',
    () => {
      const { pool } = machine;
      pool.send('reserve_metadata_snap');
      const held = pool.heldRoot();
      const result = lvmsync(['vg0/snap', copy]);
      assertFails(result, EXIT.pool, /metadata snap is already held \(root \d+\)/);
      assert.equal(pool.heldRoot(), held);
      const [, command = ''] =
        /(dmsetup message .* release_metadata_snap)$/m.exec(result.stderr) ?? [];
      tool('sh', '-c', command);
      succeedsAfterwards();
    },
  );

  tests.run(9, random);
});

/** Has the pool copy its metadata for one snapshot after the other, until there is no room for more. */
function fillMetadata(pool: TestThinPool, data: LogicalVolume): void {
  const sector = Buffer.alloc(512, 1);
  const spread = [0, 1 / 3, 2 / 3].map((part) => Math.floor((part * data.size) / MiB) * MiB);
  for (let id = 1000; id < 2000; id++) {
    const { status } = runTool(['dmsetup', 'message', pool.dmName, '0', `create_snap ${id} 1`]);
    if (status !== 0) return;
    const fd = openSync(data.path, 'r+');
    try {
      for (const offset of spread) writeSync(fd, sector, 0, sector.length, offset);
      fsyncSync(fd);
    } catch {
      return;
    } finally {
      closeSync(fd);
    }
  }
  assert.fail('its metadata never became full');
}

describe('a pool that cannot serve is refused by name and sent no message', () => {
  /** All of its status but the used blocks of its metadata, which each of its own commits changes. */
  const lastingStatus = (pool: TestThinPool): string[] =>
    pool.status().filter((_, field) => field !== 1);
  const refused = (pool: TestThinPool, message: RegExp): void => {
    const before = lastingStatus(pool);
    const result = lvmsync(['-v', 'vg0/snap', copy]);
    assertFails(result, EXIT.pool, message);
    assert.doesNotMatch(result.stderr, RESERVED);
    assert.deepEqual(lastingStatus(pool), before, 'its status');
  };

  test('F11: but one out of data space serves, so that its volumes can leave it', (context) => {
    const { group, pool, data } = setUp({ pool: 8 * MiB });
    context.after(() => group.destroy());
    tool('lvchange', '-q', '--errorwhenfull', 'y', `${group.name}/${pool.name}`);
    runTool(['dd', 'if=/dev/zero', `of=${data.path}`, 'bs=64k', 'seek=64', 'conv=fsync']);
    assert.ok(pool.status().includes('out_of_data_space'), pool.status().join(' '));
    // What could not be written is in its cache still.
    tool('blockdev', '--flushbufs', data.path);
    syncs(['vg0/snap', copy]);
    assertSameContent(data.path, copy);
    assert.ok(pool.status().includes('out_of_data_space'), pool.status().join(' '));
  });

  test('out of metadata space, until it is given more', (context) => {
    const { group, pool, data } = setUp({ pool: 96 * MiB, metadata: 2 * MiB });
    context.after(() => group.destroy());
    fillRandom(data.path, random, data.size);
    fillMetadata(pool, data);
    const [, metadata = '', , , mode] = pool.status();
    const [used, total] = metadata.split('/');
    assert.equal(used, total, 'its used metadata blocks');
    // The kernel has a state of its own for this, but shows it as this one, and does not ask for a check.
    assert.equal(mode, 'ro');
    assert.ok(!pool.status().includes('needs_check'), pool.status().join(' '));
    refused(pool, /is out of metadata space/);
    tool('lvextend', '-q', '-y', '--poolmetadatasize', '+2m', `${group.name}/${pool.name}`);
    // What could not be written is in its cache still.
    tool('blockdev', '--flushbufs', data.path);
    syncs(['vg0/snap', copy]);
    assertSameContent(data.path, copy);
  });

  test('in need of a check, after one commit of its metadata failed', (context) => {
    const { group, pool, data } = setUp();
    context.after(() => group.destroy());
    const metadata = `${group.name}-${pool.name}_tmeta`;
    const table = tool('dmsetup', 'table', metadata);
    // What is written there fails for an hour, what is read does not.
    reloadTable(metadata, `${table.replace(' linear ', ' flakey ')} 0 3600 1 error_writes`);
    runTool(['dd', 'if=/dev/zero', `of=${data.path}`, 'bs=64k', 'seek=100', 'conv=fsync']);
    reloadTable(metadata, table);
    assert.ok(pool.status().includes('needs_check'), pool.status().join(' '));
    refused(pool, /needs a check of its metadata/);
    tool('lvchange', '-an', group.name);
    tool('lvchange', '-ay', '-K', group.name);
    assert.ok(pool.status().includes('needs_check'), 'the mark was written to its metadata');
    refused(pool, /needs a check of its metadata/);
  });

  test('read-only', (context) => {
    const { group, pool } = setUp();
    const table = tool('dmsetup', 'table', pool.dmName);
    context.after(() => {
      reloadTable(pool.dmName, table);
      group.destroy();
    });
    reloadTable(pool.dmName, table.replace(/(thin-pool \S+ \S+ \d+ \d+).*/, '$1 1 read_only'));
    assert.ok(pool.status().includes('ro'), pool.status().join(' '));
    refused(pool, /is read-only/);
  });

  // The last one: what is left of this pool only the end of the kernel removes.
  test('whose metadata cannot be written', () => {
    const { group, pool, data } = setUp();
    replaceSegment(`${group.name}-${pool.name}_tmeta`, { offset: 0, length: 4 * MiB });
    runTool([
      'dd',
      'if=/dev/zero',
      `of=${data.path}`,
      'bs=64k',
      'seek=100',
      'count=4',
      'conv=fsync',
    ]);
    const status = pool.status().join(' ');
    console.log(`# its status: ${status}`);
    assert.match(status, /Fail|needs_check/);
    refused(pool, /has failed|needs a check/);
  });
});

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { DrawnTests } from '../../helpers/faults/campaign.js';
import { assertFails, type CliResult, lvmsync, syncs } from '../../helpers/program/cli.js';
import { messagesOf } from '../../helpers/program/message-document.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  assertDifferentContent,
  saveContent,
  sequential,
  writeRandom,
} from '../harness/content.js';
import { withThickCopy, withThinCopy } from '../harness/copies.js';
import { KiB, type LogicalVolume, MiB, snapshotStatus } from '../harness/lvm.js';
import { shellForSsh, useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

const random = new Random();
const folder = scratchFolder();
const snapback = `${folder}/undo`;
/** So slow that it lasts longer than the writer needs. */
const SLOWLY = ['--bwlimit', '256K'];

let writer: ChildProcess | undefined;

/** Writes 64 KiB now and then, in ascending order, each to a place that was not written before. */
function startWriter(path: string, from: number, to: number): void {
  const script = `
    for place in $(seq ${from / (64 * KiB)} ${to / (64 * KiB) - 1}); do
      dd if=/dev/urandom of=${path} bs=64k count=1 seek=$place conv=notrunc,fsync status=none
      sleep 0.02
    done`;
  writer = spawn('sh', ['-c', script], { detached: true });
}

async function stopWriter(): Promise<void> {
  if (writer?.pid === undefined) return;
  const ended = writer.exitCode === null ? once(writer, 'exit') : undefined;
  try {
    process.kill(-writer.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
  await ended;
  writer = undefined;
}

/** The receiver's own words come before ours. */
function assertStops(result: CliResult, status: number, message: RegExp): void {
  const stderr = result.stderr.replace(/^remote:.*\n/gm, '');
  assertFails({ ...result, stderr }, status, message);
}

before(() => useOwnStateFolder());
beforeEach(() => rmSync(snapback, { force: true }));
afterEach(stopWriter);

describe('a thick snapshot under a writer', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  const storeSize = 16 * MiB;
  const lab = withThickCopy({ random, size: 48 * MiB, names: ['mail', 'copy'] });
  const { size } = lab;
  let snapshot: LogicalVolume;
  beforeEach(() => {
    snapshot = lab.createSnapshot({ storeSize });
    saveContent(snapshot.path, lab.copy.path);
    lab.keep();
    // A quarter of the store.
    writeRandom(lab.origin.path, random, sequential(0, 64, 64 * KiB));
  });
  afterEach(async () => {
    await stopWriter();
    lab.group.remove(snapshot);
  });

  const limited = ['--max-cow-use', '60', ...SLOWLY];
  const FULL = /vg0\/snap: its COW store is [6-9]\d\.\d% full, which reaches --max-cow-use 60/;
  const mayGoOn = (): void => assert.match(snapshotStatus(snapshot), /^\d+\/\d+ /);

  for (const [where, remote] of [
    ['here', () => [lab.copy.path]],
    ['on another host', () => [...shellForSsh(), `there:${lab.copy.path}`]],
  ] as const) {
    scenario(
      `a sync ${where} stops before the store is full, can be undone, and be made again`,
      async () => {
        startWriter(lab.origin.path, 8 * MiB, size);
        const words = [snapshot.path, ...remote()];
        const result = lvmsync([...limited, '--snapback', snapback, ...words]);
        await stopWriter();
        assertStops(result, EXIT.sourceUnfit, FULL);
        assert.match(result.stderr, /lvextend --size \+SIZE vg0\/snap/);
        mayGoOn();
        assertDifferentContent(lab.copy.path, lab.untouched);
        assert.equal(lvmsync(['--apply', snapback, lab.copy.path]).status, 0);
        lab.assertUntouched();

        assertStops(lvmsync([...limited, ...words]), EXIT.sourceUnfit, FULL);
        lab.assertUntouched();
        tool('lvextend', '-q', '--size', `+${storeSize}b`, 'vg0/snap');
        syncs(['--max-cow-use', '60', ...words]);
        lab.assertEqual();
      },
    );
  }

  scenario('a run without a limit tells how full its store is', () => {
    const result = lvmsync(['--json', '--bwlimit', '1M', snapshot.path, lab.copy.path]);
    assert.equal(result.status, 0, result.stderr);
    const messages = messagesOf(result.stderr);
    const [fill, ...others] = messages.flatMap(({ fills }) => fills ?? []).slice(-1);
    assert.ok(typeof fill === 'object' && fill !== null && 'percent' in fill, result.stderr);
    const { percent, ...store } = fill;
    assert.deepEqual([store, others], [{ name: 'vg0/snap', what: 'COW store' }, []]);
    const [used = 0, total = 1] = snapshotStatus(snapshot).split(/[/ ]/).map(Number);
    assert.ok(Math.abs(Number(percent) - (100 * used) / total) < 0.1, `${percent}%`);
  });

  scenario('a stream says why it ends', async () => {
    startWriter(lab.origin.path, 8 * MiB, size);
    const stdoutFile = `${folder}/stream`;
    const result = lvmsync([...limited, '--stdout', snapshot.path], { stdoutFile });
    await stopWriter();
    assertStops(result, EXIT.sourceUnfit, FULL);
    assertStops(lvmsync(['--apply', stdoutFile, lab.copy.path]), EXIT.sourceUnfit, FULL);
  });

  scenario('a newer snapshot that overflows while it is read is called that', async () => {
    const options = { name: 'newer', storeSize: 4 * MiB };
    const newer = lab.createSnapshot(options);
    try {
      startWriter(lab.origin.path, 8 * MiB, size);
      const words = [...SLOWLY, '--data-source', newer.path, snapshot.path, lab.copy.path];
      const result = lvmsync(words);
      await stopWriter();
      assertStops(result, EXIT.sourceUnfit, /vg0\/newer: snapshot overflowed/);
    } finally {
      await stopWriter();
      lab.group.remove(newer);
    }
  });

  scenario('a newer snapshot that is read is looked at, too', async () => {
    const options = { name: 'newer', storeSize: 8 * MiB };
    const newer = lab.createSnapshot(options);
    // The same writes fill the older one, too.
    tool('lvextend', '-q', '--size', `+${4 * storeSize}b`, 'vg0/snap');
    try {
      startWriter(lab.origin.path, 8 * MiB, size);
      const words = [...limited, '--data-source', newer.path, snapshot.path, lab.copy.path];
      const result = lvmsync(words);
      await stopWriter();
      assertStops(result, EXIT.sourceUnfit, /vg0\/newer: its COW store is .* full/);
    } finally {
      await stopWriter();
      lab.group.remove(newer);
    }
  });

  tests.run(4, random);
});

describe('a thin pool under a writer', () => {
  test('a sync stops before the pool is full, and is made again after it has grown', async (t) => {
    const lab = withThinCopy({
      ...{ random, size: 48 * MiB, written: 16 * MiB, until: t },
      ...{ names: ['mail', 'copy'], pool: { size: 64 * MiB, blockSize: 64 * KiB } },
    });
    const { origin, copy, pool, size } = lab;
    const snapshot = pool.snapshot(origin, 'snap');
    writeRandom(origin.path, random, sequential(0, 64, 64 * KiB));
    startWriter(origin.path, 16 * MiB, size);
    const words = ['--max-cow-use', '60%', snapshot.path, copy.path];
    // The writer needs several times as long on a busy machine.
    const result = lvmsync(['--bwlimit', '64K', ...words]);
    await stopWriter();
    assertStops(result, EXIT.pool, /vg0\/pool: its data are [6-9]\d\.\d% full/);
    assert.match(result.stderr, /lvextend --size \+SIZE vg0\/pool/);
    assert.equal(pool.heldRoot(), '-');
    tool('lvextend', '-q', '--size', `+${64 * MiB}b`, 'vg0/pool');
    syncs(words);
    lab.assertEqual();
  });
});

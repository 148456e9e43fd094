import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { offlineSource } from '../../helpers/devices/offline-source.js';
import { CLI, runTool } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { KiB, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { shellForSsh, TestThinPool, useOwnStateFolder } from '../harness/thin.js';

const SIGTERM_STATUS = 143;
/** Milliseconds: starting takes seconds when four programs do it at once. */
const UNTIL_SAID = 60_000;
const UNTIL_ENDED = 10_000;

interface Run {
  readonly what: string;
  readonly child: ChildProcess;
  readonly said: () => string;
}

function start(what: string, words: readonly string[]): Run {
  const child = spawn(process.execPath, [CLI, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (piece: Buffer) => {
      text += piece.toString();
    });
  }
  return { what, child, said: () => text };
}

async function waitFor(what: string, limit: number, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + limit;
  while (!isSo()) {
    assert.ok(performance.now() < deadline, `in vain: ${what}`);
    await sleep(100);
  }
}

function waitersForLocks(): number {
  return readFileSync('/proc/locks', 'utf8').split('->').length - 1;
}

/** Whether any process has that word on its command line. */
function isRunning(word: string): boolean {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return processes.some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(word);
    } catch {
      return false;
    }
  });
}

describe("F12: LVM's lock is held by somebody else", () => {
  const group = new TestVolumeGroup({ size: 100 * MiB });
  let holder: ChildProcess | undefined;
  let runs: readonly Run[] = [];

  before(async () => {
    useOwnStateFolder();
    const thick = group.createVolume('thick', 4 * MiB);
    group.createVolume('copy', 4 * MiB);
    const snapshot = group.createSnapshot(thick, { chunkSize: 4 * KiB }).path;
    const pool = new TestThinPool(group, { size: 12 * MiB, blockSize: 64 * KiB });
    pool.snapshot(pool.createVolume('thin', 4 * MiB), 'thin-snap');
    pool.createVolume('remote', 4 * MiB);
    const lockFile = `/run/lock/lvm/V_${group.name}`;
    writeFileSync(lockFile, '', { flag: 'a' });
    holder = spawn('flock', ['-o', '-x', lockFile, 'sh', '-c', 'echo held; exec sleep 1000'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    await once(holder.stdout!, 'data');
    const copy = `/dev/${group.name}/copy`;
    const folder = scratchFolder();
    runs = [
      start('sync of a thick volume', [snapshot, copy]),
      start('sync of a thin volume', [`${group.name}/thin-snap`, copy]),
      start('cycle', [
        ...['cycle', `${group.name}/thick`, copy, '--snapback', `${folder}/chain`],
        ...['--size', '4m', '--init'],
      ]),
      start('doctor', ['doctor', snapshot, copy]),
    ];
  });
  after(() => {
    if (holder?.pid !== undefined) process.kill(-holder.pid, 'SIGKILL');
    for (const { child } of runs) child.kill('SIGKILL');
    group.destroy();
  });

  test('F12: each run says that it waits, for what, and who holds it', async () => {
    for (const { what, said } of runs) {
      const words = new RegExp(
        `lvs: has waited for 1\\d s for the lock /run/lock/lvm/V_${group.name}, which process \\d+ \\((flock|sh|sleep)\\) holds`,
      );
      await waitFor(`${what} says that it waits`, UNTIL_SAID, () => words.test(said()));
    }
  });

  test('F12: a receiver that waits ends with the commands that it started when its sender is killed', async () => {
    const { words } = offlineSource(scratchFolder(), { size: 4 * MiB, changedChunks: [1, 2] });
    const before = waitersForLocks();
    const destination = `localhost:/dev/${group.name}/remote`;
    const sender = start('sender', [...words, ...shellForSsh(), destination]);
    try {
      await waitFor('its receiver waits', UNTIL_SAID, () =>
        /lvs: has waited/.test(sender.said()),
      ).catch(() => assert.fail(sender.said()));
      assert.equal(waitersForLocks(), before + 1);
      assert.ok(isRunning(`/dev/${group.name}/remote`));
    } finally {
      sender.child.kill('SIGKILL');
    }
    await waitFor('its receiver ends', UNTIL_ENDED, () => {
      return waitersForLocks() === before && !isRunning(`/dev/${group.name}/remote`);
    });
  });

  test('where LVM does not answer it is said that a merge into the destination was not looked for', () => {
    const { words } = offlineSource(scratchFolder(), { size: 4 * MiB, changedChunks: [1, 2] });
    const system = scratchFolder();
    writeFileSync(`${system}/lvm.conf`, 'global { wait_for_locks = 0 }\n');
    const env = { ...process.env, LVM_SYSTEM_DIR: system };
    const argv = [process.execPath, CLI, ...words, `/dev/${group.name}/remote`];
    const { status, stderr } = runTool(argv, { env });
    assert.equal(status, 0, stderr);
    assert.match(
      stderr,
      /WARNING: .*remote: LVM cannot be asked whether a merge into it is schedul/,
    );
  });

  test('F12: the first signal ends each run and the commands that it started', async () => {
    for (const { child } of runs) child.kill('SIGTERM');
    const waiting = runs.filter(({ child }) => child.exitCode === null);
    await waitFor('they end', UNTIL_ENDED, () =>
      waiting.every(({ child }) => child.exitCode !== null),
    );
    for (const { what, child, said } of runs) {
      assert.equal(child.exitCode, SIGTERM_STATUS, `${what}: ${said()}`);
      assert.match(said(), /interrupted by SIGTERM/, what);
    }
    assert.equal(waitersForLocks(), 0, 'nobody waits for a lock any more');
  });
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { InterruptedError } from '../../../src/base/errors.js';
import { findAwaitedLock } from '../../../src/host/awaited-lock.js';
import { superviseCommands } from '../../../src/host/command-supervision.js';
import { runCommand, streamCommand } from '../../../src/host/subprocess.js';

const folder = mkdtempSync(join(tmpdir(), 'lvmsync-test-'));
after(() => rmSync(folder, { recursive: true }));

/** Supervises what the test starts; the function is the signal. */
function supervised(): () => void {
  const controller = new AbortController();
  superviseCommands({
    signal: controller.signal,
    say: () => undefined,
    interruption: () => new InterruptedError('SIGTERM', 15),
  });
  return () => controller.abort('SIGTERM');
}

describe('a file lock that a process waits for', () => {
  const path = join(folder, 'lock');
  const children = [0, 1].map(() =>
    spawn('flock', ['-x', path, 'sleep', '100'], { detached: true }),
  );
  before(() => writeFileSync(path, ''));
  after(() => {
    for (const { pid } of children) process.kill(-pid!, 'SIGKILL');
  });

  test('is named with its file and its holder', async () => {
    const pids = children.map(({ pid }) => pid!);
    const locks = async (): Promise<ReturnType<typeof findAwaitedLock>[]> => {
      for (let i = 0; i < 200; i++) {
        const found = pids.map((pid) => findAwaitedLock(pid));
        if (found.some((one) => one !== undefined)) return found;
        await sleep(50);
      }
      return assert.fail('none of them waits');
    };
    const found = await locks();
    const waiting = found.findIndex((one) => one !== undefined);
    const holder = { pid: pids[1 - waiting], name: 'flock' };
    assert.deepEqual(found[waiting], { path, holder });
    assert.equal(found[1 - waiting], undefined);
  });
});

describe('the first signal', () => {
  test('ends a command that asks, even one that does not listen to SIGTERM', async () => {
    const stop = supervised();
    const running = runCommand(['sh', '-c', 'trap "" TERM; echo begun; sleep 9; sleep 9']);
    await sleep(300);
    stop();
    await assert.rejects(running, InterruptedError);
  });

  test('ends a command whose output is read', async () => {
    const stop = supervised();
    const { stdout, ended } = streamCommand(['sh', '-c', 'echo begun; exec sleep 100']);
    setTimeout(stop, 300);
    const pieces: Uint8Array[] = [];
    for await (const piece of stdout) pieces.push(piece.slice());
    assert.equal(Buffer.concat(pieces).toString(), 'begun\n');
    await assert.rejects(ended, InterruptedError);
  });

  test('leaves one alone that changes something and waits for no lock', async () => {
    const stop = supervised();
    const running = runCommand(['sh', '-c', 'sleep 1; echo done'], { shielded: true });
    await sleep(300);
    stop();
    assert.equal((await running).stdout, 'done\n');
  });

  test('ends one that is about to change something and waits for a lock', async () => {
    const path = join(folder, 'other');
    const holder = spawn('flock', ['-x', path, 'sh', '-c', 'echo held; exec sleep 100'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    try {
      await once(holder.stdout, 'data');
      const stop = supervised();
      const running = runCommand(['flock', '-x', path, 'true'], { shielded: true });
      await sleep(500);
      stop();
      await assert.rejects(running, InterruptedError);
    } finally {
      process.kill(-holder.pid!, 'SIGKILL');
    }
  });
});

/** Runs that end before their time: closed pipes, full disks, signals, kills, two runs at once. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  lvmsync,
  type RunningCli,
  runTool,
  startLvmsync,
} from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const MiB = 1024 * 1024;
const folder = scratchFolder();
const random = new Random();
const CHUNKS = (16 * MiB) / 4096;
const source = offlineSource(folder, {
  size: 16 * MiB,
  changedChunks: random.distinct((CHUNKS / 4) * 3, CHUNKS),
});
let files = 0;

function freshName(): string {
  return join(folder, `file-${files++}`);
}

function destinationFile(): string {
  const path = freshName();
  writeFileSync(path, source.former);
  return path;
}

function dump(): Buffer {
  const result = lvmsync([...source.words, '--stdout']);
  assertSucceeds(result);
  return result.stdout;
}

/** An apply of that much of the stream from a pipe that then says nothing more. */
async function stalledApply(stream: Buffer, words: readonly string[]): Promise<RunningCli> {
  const run = startLvmsync(['--apply', '-', ...words]);
  const { stdin } = run.child;
  assert.ok(stdin);
  if (!stdin.write(stream)) await Promise.race([once(stdin, 'drain'), run.ended]);
  return run;
}

/** Waits until the file has become at least that large, which shows that the run is at work. */
async function untilLonger(path: string, size: number): Promise<void> {
  for (;;) {
    const now = await stat(path).then(
      (stats) => stats.size,
      () => 0,
    );
    if (now >= size) return;
    await sleep(10);
  }
}

/** Reads that many bytes of a fifo, however slowly they come. */
async function takeFrom(fd: number, count: number): Promise<void> {
  const buffer = Buffer.alloc(count);
  for (let taken = 0; taken < count; ) {
    try {
      taken += readSync(fd, buffer, taken, count - taken, null);
    } catch (error) {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'EAGAIN', `${error}`);
      await sleep(10);
    }
  }
}

describe('a destination that cannot take it', () => {
  test('because its disk is full ends the run with status 13 and the byte', (context) => {
    const small = freshName();
    mkdirSync(small);
    if (runTool(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'none', small]).status !== 0) {
      return context.skip('no tmpfs can be mounted here');
    }
    try {
      const destination = join(small, 'sparse');
      writeFileSync(destination, '');
      truncateSync(destination, 16 * MiB);
      const result = lvmsync([...source.words, destination]);
      assertFails(
        result,
        13,
        /sparse: write error at byte \d+ \(ENOSPC: No space left on device\)/,
      );
      assert.match(result.stderr, /is incomplete: .* of 12\.0 MiB applied/);
    } finally {
      runTool(['umount', small]);
    }
  });
});

describe('standard output', () => {
  test('whose reader has gone ends the run with status 17', async () => {
    const child = spawn(process.execPath, [CLI, ...source.words, '--stdout'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const [status] = await once(child, 'close');
    const result = { status, signal: null, stdout: Buffer.alloc(0), stderr };
    assertFails(result, 17, /standard output: its reader stopped reading at byte \d+ \(EPIPE\)/);
  });

  test('on a full disk ends the run with status 13', () => {
    const full = openSync('/dev/full', 'w');
    const result = lvmsync([...source.words, '--stdout'], { stdio: ['ignore', full, 'pipe'] });
    assertFails(result, 13, /standard output: write error at byte \d+ \(ENOSPC/);
  });

  test('that nobody reads does not keep a signal from ending the run', async () => {
    const path = freshName();
    runTool(['mkfifo', path]);
    const fifo = openSync(path, constants.O_RDWR);
    const run = startLvmsync(['-v', ...source.words, '--stdout'], fifo);
    await run.waitFor(/chunks of 4\.0 KiB changed/);
    // By then the fifo is full, of which it holds 64 KiB.
    await sleep(500);
    run.child.kill('SIGTERM');
    const { status, stderr } = await run.ended;
    assert.equal(status, 143, stderr);
    assert.match(stderr, /^FATAL ERROR: interrupted by SIGTERM$/m);
    closeSync(fifo);
  });
});

describe('standard error', () => {
  for (const form of ['text', 'json']) {
    test(`on a full disk changes nothing about a run, as ${form}`, () => {
      const full = openSync('/dev/full', 'w');
      const destination = destinationFile();
      const words = [...source.words, ...(form === 'json' ? ['--json'] : []), '-v', destination];
      assert.equal(lvmsync(words, { stdio: ['ignore', 'pipe', full] }).status, 0);
      assert.ok(readFileSync(destination).equals(source.content));
      closeSync(full);
    });
  }

  // A run that does not end in order writes no figures: without an end to it the wait would have none.
  test('of a terminal that hangs up: the run ends as at any SIGHUP', {
    timeout: 120_000,
  }, async (context) => {
    if (runTool(['script', '-qec', 'true', '/dev/null']).status !== 0) {
      return context.skip('no terminal can be made here (script of bsdutils, /dev/ptmx)');
    }
    const [destination, snapback, metrics] = [destinationFile(), freshName(), freshName()];
    const options = ['--bwlimit', '1M', '--snapback', snapback, '--metrics', `${metrics}.prom`];
    const words = [process.execPath, CLI, ...options, ...source.words, destination];
    const line = `exec ${words.map((word) => `'${word}'`).join(' ')}`;
    const terminal = spawn('script', ['-qec', line, '/dev/null'], { stdio: 'ignore' });
    await untilLonger(snapback, MiB);
    terminal.kill('SIGKILL');
    await untilLonger(`${metrics}.prom`, 1);
    const figures = readFileSync(`${metrics}.prom`, 'utf8');
    assert.match(figures, /^lvmsync_last_run_exit_status\{.*\} 129$/m);
    assertSucceeds(lvmsync(['--apply', snapback, destination]));
    assert.ok(readFileSync(destination).equals(source.former), 'undone');
  });
});

describe('a signal', () => {
  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const) {
    test(`${signal} in the middle ends it with status ${status} and says what state it left`, async () => {
      const stream = dump();
      const destination = destinationFile();
      const snapback = freshName();
      const half = stream.subarray(0, stream.length / 2);
      const run = await stalledApply(half, ['--snapback', snapback, destination]);
      await untilLonger(snapback, half.length - 4 * MiB);
      run.child.kill(signal);
      const result = await run.ended;
      assertFails(result, status, new RegExp(`interrupted by ${signal}`));
      assert.match(result.stderr, /is incomplete: .* of 12\.0 MiB applied\./);
      assert.match(result.stderr, /Undo it with: lvmsync --apply/);
      assertSucceeds(lvmsync(['--apply', snapback, destination]));
      assert.ok(readFileSync(destination).equals(source.former), 'undone');
    });
  }

  test('tells how to undo it, whatever the names are', async () => {
    const [snapback, destination] = [`${freshName()}\nundo`, `${freshName()}\nit's`];
    writeFileSync(destination, source.former);
    const run = startLvmsync([
      ...['--bwlimit', '1M', '--snapback', snapback],
      ...[...source.words, destination],
    ]);
    await untilLonger(snapback, MiB);
    run.child.kill('SIGINT');
    const result = await run.ended;
    assertFails(result, 130, /interrupted by SIGINT/);
    const [, command = ''] = /^Undo it with: (lvmsync .*?); or keep/m.exec(result.stderr) ?? [];
    const typed = command.replace('lvmsync', `'${process.execPath}' '${CLI}'`);
    assertSucceeds(runTool(['bash', '-c', typed]));
    assert.ok(readFileSync(destination).equals(source.former), 'undone');
  });

  test('before anything came says that nothing was written', async () => {
    const destination = destinationFile();
    const run = await stalledApply(Buffer.from('lvmsync PROTO'), [destination]);
    // The handler is there as soon as the program says which engine it uses; -v would tell.
    const talking = startLvmsync(['-v', '--apply', '-', destination]);
    await talking.waitFor(/I\/O through/);
    talking.child.kill('SIGTERM');
    const result = await talking.ended;
    assertFails(result, 143, /interrupted by SIGTERM/);
    assert.match(result.stderr, /Nothing was written/);
    run.child.stdin?.end();
    assertFails(await run.ended, 14, /cut off inside its first line/);
  });

  test('that comes a second time ends at once what the first one waits for', async () => {
    const fifo = freshName();
    runTool(['mkfifo', fifo]);
    const end = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    const run = startLvmsync([...source.words, '--snapback', fifo, destinationFile()]);
    // More than a fifo holds: its first group, of 2 MiB, is being saved, and nobody takes the rest.
    await takeFrom(end, 100_000);
    run.child.kill('SIGINT');
    await run.waitFor(/SIGINT: finishing the batches in progress; press again to stop immediately/);
    run.child.kill('SIGINT');
    const watchdog = setTimeout(() => run.child.kill('SIGKILL'), 60_000);
    assert.equal((await run.ended).signal, 'SIGINT');
    clearTimeout(watchdog);
    closeSync(end);
  });

  test('ends the wait for somebody who opens the other end of a fifo', async () => {
    const path = freshName();
    runTool(['mkfifo', path]);
    const run = startLvmsync(['-v', '--apply', path, destinationFile()]);
    await run.waitFor(/I\/O through/);
    run.child.kill('SIGTERM');
    assert.equal((await run.ended).status, 143);
  });

  test('a fifo whose writer comes later is read to its end', async () => {
    const path = freshName();
    runTool(['mkfifo', path]);
    const destination = destinationFile();
    const run = startLvmsync(['-v', '--apply', path, destination]);
    await run.waitFor(/I\/O through/);
    const end = openSync(path, 'w');
    const writing = ['ignore', end, 'ignore'] as const;
    const writer = spawn(process.execPath, [CLI, ...source.words, '--stdout'], {
      stdio: [...writing],
    });
    closeSync(end);
    const [status] = await once(writer, 'close');
    assert.equal(status, 0);
    assertSucceeds(await run.ended);
    assert.ok(readFileSync(destination).equals(source.content));
  });
});

describe('kill -9', () => {
  for (const share of [0.2, 0.5, 0.9]) {
    test(`after ${share * 100} % of the stream leaves a snapback that brings the former content back`, async () => {
      const stream = dump();
      const destination = destinationFile();
      const snapback = freshName();
      const part = stream.subarray(0, Math.floor(stream.length * share));
      const run = await stalledApply(part, ['--snapback', snapback, destination]);
      await untilLonger(snapback, part.length * 0.3);
      run.child.kill('SIGKILL');
      assert.equal((await run.ended).signal, 'SIGKILL');
      assertSucceeds(lvmsync(['--apply', snapback, destination]));
      assert.ok(readFileSync(destination).equals(source.former));
      // The destination is free again, and the run can be repeated under another name.
      const again = ['--snapback', freshName(), destination];
      assertSucceeds(lvmsync([...source.words, ...again]));
      assert.ok(readFileSync(destination).equals(source.content));
    });
  }
});

describe('two runs on one destination', () => {
  test('the second one is refused with status 19, while the first goes on', async () => {
    const stream = dump();
    const destination = destinationFile();
    const snapback = freshName();
    const half = stream.subarray(0, stream.length / 2);
    const first = await stalledApply(half, ['--snapback', snapback, destination]);
    await untilLonger(snapback, 1);
    const second = lvmsync([...source.words, destination]);
    assertFails(second, 19, /another lvmsync is at work on it \(process \d+: lvmsync --apply -/);
    first.child.stdin?.end(stream.subarray(stream.length / 2));
    assertSucceeds(await first.ended);
    assert.ok(readFileSync(destination).equals(source.content));
  });
});

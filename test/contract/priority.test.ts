/** `--nice` and `--ionice`, as the kernel sees them in a run that waits. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assertFails, lvmsync, startLvmsync } from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const destination = join(folder, 'destination');
writeFileSync(destination, Buffer.alloc(4096));

/** The nice value of each thread: what follows the name in its status line, 17th. */
function niceOf(pid: number): number[] {
  return statusOf(pid, 16);
}

/** SCHED_*: what follows the name, 39th. */
function policiesOf(pid: number): number[] {
  return statusOf(pid, 38);
}

function statusOf(pid: number, field: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const line = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[field]);
  });
}

const SCHED_OTHER = 0;
const SCHED_IDLE = 5;

describe('a run', () => {
  test('has the priority it was given, in every thread, also those of its I/O', async () => {
    const words = ['--nice', '7', '--ionice', 'best-effort:6', '-v', '--hash-blocks', destination];
    const run = startLvmsync(words);
    const { pid = 0, stdin } = run.child;
    stdin?.write(`lvmsync-hash 1 ${'0'.repeat(32)}\nblocks 0 0+4096\n`);
    await run.waitFor(/I\/O through/);
    assert.deepEqual([...new Set(niceOf(pid))], [7]);
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const printed = execFileSync('ionice', ['-p', thread], { encoding: 'utf8' });
      assert.equal(printed.trim(), 'best-effort: prio 6');
    }
    stdin?.end('end 1\n');
    assert.equal((await run.ended).status, 0);
  });

  test('takes only the processors that nobody wants, in every thread', async () => {
    const run = startLvmsync(['--nice', 'idle', '-v', '--hash-blocks', destination]);
    const { pid = 0, stdin } = run.child;
    stdin?.write(`lvmsync-hash 1 ${'0'.repeat(32)}\nblocks 0 0+4096\n`);
    await run.waitFor(/I\/O through/);
    assert.deepEqual([...new Set(policiesOf(pid))], [SCHED_IDLE]);
    stdin?.end('end 1\n');
    assert.equal((await run.ended).status, 0);
  });

  test('keeps what it was started with where it is given none', async () => {
    const run = startLvmsync(['-v', '--hash-blocks', destination]);
    const { pid = 0, stdin } = run.child;
    stdin?.write(`lvmsync-hash 1 ${'0'.repeat(32)}\n`);
    await run.waitFor(/I\/O through/);
    const own = niceOf(process.pid)[0];
    assert.deepEqual([...new Set(niceOf(pid))], [own]);
    assert.deepEqual([...new Set(policiesOf(pid))], [SCHED_OTHER]);
    stdin?.end('end 0\n');
    assert.equal((await run.ended).status, 0);
  });

  test('says so where the priority is refused', () => {
    const input = { input: '' };
    const words = ['--nice', '-20', '--apply', '-', destination];
    const nobody = lvmsync(words, input);
    // Root may do it: then the run goes on to its input.
    if (process.getuid?.() === 0) assert.equal(nobody.status, 14, nobody.stderr);
    else assertFails(nobody, 1, /--nice: not permitted/);
  });
});

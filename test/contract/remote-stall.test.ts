/** Receivers that stop, and a sender that is told to: nobody waits for ever. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseOptions } from '../../src/cli/option-grammar.js';
import { toCommand } from '../../src/cli/parse.js';
import { sendTo } from '../../src/remote/send.js';
import { Reporter } from '../../src/run/reporter.js';
import { openOffline } from '../../src/source/offline-source.js';
import { writeCowStore } from '../helpers/devices/cow-store.js';
import { assertFails, assertSucceeds, lvmsync, startLvmsync } from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const fixture = new RemoteFixture();
const CHUNK = 64 * 1024;
const CHUNKS = 512;

/** 32 MiB, all of it changed: more than any pipe or window holds. */
function bigSource(): { readonly words: readonly string[]; readonly data: Buffer } {
  const data = new Random().bytes(CHUNKS * CHUNK);
  const cowStore = fixture.path('big-cow-store.img');
  const origin = fixture.path('big-origin.img');
  writeCowStore(cowStore, {
    chunkSize: CHUNK,
    oldChunks: Array.from({ length: CHUNKS }, (_, i) => i),
  });
  writeFileSync(origin, data);
  return { words: ['--cow-store', cowStore, '--data-source', origin], data };
}
const big = bigSource();

function bigCopy(name: string): string {
  const path = fixture.path(name);
  writeFileSync(path, Buffer.alloc(big.data.length));
  return path;
}

/** How many chunks from the start are new; all behind them must be old. */
function newChunks(path: string): number {
  const found = readFileSync(path);
  assert.equal(found.length, big.data.length);
  let count = 0;
  while (count < CHUNKS && sameChunk(found, big.data, count)) count++;
  const rest = found.subarray(count * CHUNK);
  assert.ok(rest.equals(Buffer.alloc(rest.length)), 'what follows is untouched');
  return count;
}

function sameChunk(a: Buffer, b: Buffer, index: number): boolean {
  const at = index * CHUNK;
  return a.subarray(at, at + CHUNK).equals(b.subarray(at, at + CHUNK));
}

function sendBig(rsh: { readonly command: string }, path: string, ...options: string[]): string[] {
  return [...big.words, '-e', rsh.command, ...options, `backup:${path}`];
}

async function waitForFile(path: string): Promise<void> {
  while (!existsSync(path)) await new Promise((tick) => setTimeout(tick, 20));
}

describe('--timeout', () => {
  for (const body of ['exec sleep 600', 'kill -STOP $$', 'sleep 600 & kill -STOP $$']) {
    test(`ends a run whose receiver has read nothing: ${body}`, () => {
      const result = lvmsync(sendBig(fixture.rsh(body), '/x', '--timeout', '1'));
      assertFails(result, 17, /backup: no answer for 1 s: given up/);
      assert.match(result.stderr, /Nothing was written there\./);
    });
  }

  const stalls: readonly [what: string, body: string][] = [
    ['stops in the middle', 'head -c 1000000 > /dev/null; exec sleep 600'],
    ['has all and does not end', 'cat > /dev/null; exec sleep 600'],
    ['prints half a line and hangs', 'cat > /dev/null; printf half; exec sleep 600'],
  ];
  for (const [what, body] of stalls) {
    test(`ends a run whose receiver ${what}`, () => {
      const result = lvmsync(sendBig(fixture.rsh(body), '/x', '--timeout', '1'));
      assertFails(result, 17, /backup: nothing moved for 1 s: given up/);
      assert.match(result.stderr, /backup:\/x may be incomplete\./);
    });
  }

  const questions: readonly [what: string, words: (at: string) => readonly string[]][] = [
    ['a sync', (at) => [...big.words, at]],
    ['a dry run', (at) => ['--dry-run', ...big.words, at]],
    ['verify', (at) => ['verify', ...big.words, at]],
    ['doctor', (at) => ['doctor', '-', at]],
  ];
  for (const [what, wordsFor] of questions) {
    test(`F48: ${what} says that the host does not answer, and blames no program that it never reached`, () => {
      const rsh = fixture.rsh('exec sleep 600');
      const result = lvmsync([...wordsFor('backup:/x'), '-e', rsh.command, '--timeout', '1']);
      assert.notEqual(result.status, 0);
      const said = result.stderr + result.stdout.toString();
      assert.match(said, /backup: no answer for 1 s: given up/);
      assert.doesNotMatch(said, /Ruby|remote-path|knows no|incomplete|APPLY FAILED/);
    });
  }

  test('does not end a run whose receiver says that it is at work, until it says so no more', () => {
    // Words 5 to 12 of the HELLO are the stream id, two bytes each.
    const script = fixture.path('busy.cjs');
    writeFileSync(
      script,
      `process.stdin.once('data', (data) => {
         process.stdin.pause();
         const word = (n) => data.toString('hex', 18 + 12 * n + 6, 18 + 12 * n + 8);
         const id = [5, 6, 7, 8, 9, 10, 11, 12].map(word).join('');
         const say = () => process.stdout.write('\\nlvmsync-busy 1 ' + id + '\\n');
         const timer = setInterval(say, 200);
         setTimeout(() => { clearInterval(timer); console.error('at rest'); }, 3500);
         setTimeout(() => undefined, 600_000);
       });`,
    );
    const rsh = fixture.rsh(`exec ${process.execPath} ${script}`);
    const result = lvmsync(sendBig(rsh, '/x', '--timeout', '2'));
    assertFails(result, 17, /nothing moved for 2 s: given up/);
    assert.match(result.stderr, /at rest/);
    assert.doesNotMatch(result.stderr, /lvmsync-busy/);
  });

  test('ends a run whose receiver is stopped behind the program that stands for ssh', () => {
    const stopped = fixture.path('stopped');
    const destination = bigCopy('stopped.img');
    const rsh = fixture.rsh(
      `exec 3<&0; lvmsync --apply - '${destination}' <&3 & echo $! > '${stopped}'; kill -STOP $!; wait`,
    );
    const result = lvmsync(sendBig(rsh, destination, '--timeout', '1'));
    process.kill(Number(readFileSync(stopped, 'utf8')), 'SIGKILL');
    assertFails(result, 17, /(no answer|nothing moved) for 1 s/);
  });

  test('does not end a turn of a chain that is confirmed, while its receiver clears up', async () => {
    const [destination, chain] = [bigCopy('turn.img'), fixture.path('turn.chain')];
    const rsh = fixture.rsh('sh -c "$line"; sleep 2; exit 255');
    const words = ['cycle', 'vg/mail', `backup:${destination}`, '--snapback', chain, '--init'];
    const command = toCommand(parseOptions([...words, '-e', rsh.command, '--timeout', '1']));
    assert.ok(command.kind === 'cycle');
    let said = '';
    const write = (text: string): void => {
      said += text;
    };
    const reporter = new Reporter({ verbosity: 'normal', write, isTTY: false });
    const { signal } = new AbortController();
    const silent = { print: () => undefined, answer: () => undefined, agentSocket: undefined };
    const context = { ...silent, reporter, signal, commandLine: 'lvmsync', engine: 'auto' };
    const [, cowStore = '', , dataSource = ''] = big.words;
    const source = await openOffline({ kind: 'cowStore', cowStore, dataSource }, reporter);
    const point = { toPoint: 'point-1', toTime: '2024-01-01T00:00:00Z' };
    try {
      const attributes = { ...source.attributes, ...point };
      await sendTo({ ...source, attributes }, command, context);
    } finally {
      await source.close();
    }
    assert.equal(newChunks(destination), CHUNKS, said);
  });

  test('does not end a run that is slow but moves', () => {
    const destination = bigCopy('slow.img');
    const slowly = 'for round in 1 2 3 4 5 6; do head -c 2000000; sleep 0.6; done; cat';
    const rsh = fixture.rsh(`(${slowly}) | sh -c "$line"`);
    assertSucceeds(lvmsync(sendBig(rsh, destination, '--timeout', '2')));
    assert.equal(newChunks(destination), CHUNKS);
  });
});

describe('a sender that is told to stop', () => {
  test('tells the receiver, which keeps whole groups only; both end with a failure', async () => {
    const destination = bigCopy('told.img');
    const [reached, status] = [fixture.path('reached'), fixture.path('status')];
    const slowly = `head -c 10000000; touch '${reached}'; sleep 1; cat`;
    const rsh = fixture.rsh(
      `(${slowly}) | sh -c "$line"\nsaved=$?\necho $saved > '${status}'\nexit $saved`,
    );
    const run = startLvmsync(sendBig(rsh, destination));
    await waitForFile(reached);
    run.child.kill('SIGTERM');
    const result = await run.ended;
    assert.equal(result.status, 143, result.stderr);
    assert.match(result.stderr, /^FATAL ERROR: interrupted by SIGTERM$/m);
    assert.match(result.stderr, /^remote:.*the sender gave up: interrupted by SIGTERM/m);
    assert.match(result.stderr, /may be incomplete\.\nRun the same command again/);
    assert.equal(readFileSync(status, 'utf8'), '11\n');
    const count = newChunks(destination);
    assert.ok(count > 0 && count < CHUNKS, `${count} chunks`);
    assert.equal((count * CHUNK) % (2 * 1024 * 1024), 0, 'a group is written whole or not at all');
    assertSucceeds(lvmsync(sendBig(fixture.goodRsh(), destination)));
    assert.equal(newChunks(destination), CHUNKS);
  });

  test('does not wait for ever for a receiver that takes nothing', async () => {
    const started = fixture.path('started');
    const run = startLvmsync(sendBig(fixture.rsh(`touch '${started}'; exec sleep 600`), '/x'));
    await waitForFile(started);
    run.child.kill('SIGTERM');
    const result = await run.ended;
    assert.equal(result.status, 143, result.stderr);
  });

  test('is killed: the receiver sees a cut, and keeps whole groups only', async () => {
    const destination = bigCopy('killed.img');
    const [reached, status] = [fixture.path('reached-2'), fixture.path('status-2')];
    const slowly = `head -c 10000000; touch '${reached}'; sleep 1; cat`;
    const rsh = fixture.rsh(`(${slowly}) | sh -c "$line" > /dev/null 2>&1\necho $? > '${status}'`);
    const run = startLvmsync(sendBig(rsh, destination));
    await waitForFile(reached);
    run.child.kill('SIGKILL');
    await run.ended;
    await waitForFile(status);
    assert.equal(readFileSync(status, 'utf8'), '14\n');
    const count = newChunks(destination);
    assert.ok(count > 0 && count < CHUNKS, `${count} chunks`);
    assert.equal((count * CHUNK) % (2 * 1024 * 1024), 0);
  });
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, writeSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { closeInput, type PeerExit, relayLines } from '../../../src/remote/peer.js';
import { connectCommand } from '../../../src/remote/rsh.js';
import { type Part, testPeer } from '../../helpers/remote/peer-suite.js';

interface Talk {
  readonly exit: PeerExit;
  readonly lines: readonly string[];
}

/** Runs a script of sh as the peer, gives it `input` and the end of input. */
async function talk(script: string, input = ''): Promise<Talk> {
  const lines: string[] = [];
  const peer = connectCommand(['sh', '-c', script], (line, stream) => {
    lines.push(`${stream}: ${line}`);
  });
  if (input !== '') writeSync(peer.inputFd, input);
  closeSync(peer.inputFd);
  return { exit: await peer.exited, lines };
}

/** The part as a script of sh: it is its process that ends, however the rest of it does. */
function scriptOf({ reads, lines = 1, meanwhile, ends }: Part): string {
  const read = { everything: 'wc -c >&2', 'a little': 'head -c 1 >/dev/null', nothing: ':' }[reads];
  const print = `yes line | head -n ${lines}`;
  const end = { SIGTERM: 'kill -TERM $$', never: 'exec sleep 600' };
  return [
    ...(meanwhile ? ['exec 3<&0', `${print} & ${read} <&3; wait`] : [read, print]),
    typeof ends === 'number' ? `exit ${ends}` : end[ends],
  ].join('\n');
}

testPeer('a command', 'signal', async (t, part) => {
  const lines: string[] = [];
  const peer = connectCommand(['sh', '-c', scriptOf(part)], (line, stream) => {
    lines.push(`${stream}: ${line}`);
  });
  t.after(() => peer.kill());
  return { peer, lines };
});

test('a program that does not exist is a failure with a hint', async () => {
  const peer = connectCommand(['/nonexistent/rsh', 'host'], () => undefined);
  closeSync(peer.inputFd);
  const exit = await peer.exited;
  assert(exit.kind === 'failed');
  assert.equal(exit.error.exitStatus, 17);
  assert.match(exit.error.message, /\/nonexistent\/rsh: cannot be started \(no such program\)/);
  assert.match(exit.error.hint ?? '', /--rsh/);
});

test('a file that cannot be run is a failure, too', async () => {
  const peer = connectCommand(['/etc/passwd'], () => undefined);
  closeSync(peer.inputFd);
  const exit = await peer.exited;
  assert(exit.kind === 'failed');
  assert.match(exit.error.message, /EACCES/);
});

test('a process left behind that holds its outputs open does not hold us', async () => {
  const { exit, lines } = await talk('echo "pid $$"; (sleep 600 & echo $! >&2); exit 4');
  const left = lines.map((line) => /^stderr: (\d+)$/.exec(line)?.[1]).find((pid) => pid);
  assert.ok(left !== undefined);
  process.kill(Number(left), 0);
  process.kill(Number(left));
  assert.deepEqual(exit, { kind: 'status', status: 4 });
});

test('kill ends one that does not read and does not end', async () => {
  const peer = connectCommand(['sleep', '600'], () => undefined);
  peer.kill();
  assert.deepEqual(await peer.exited, { kind: 'signal', signal: 'SIGKILL' });
  closeSync(peer.inputFd);
});

test('the options of our own node are not handed to it', async () => {
  const before = process.env.NODE_OPTIONS;
  process.env.NODE_OPTIONS = '--no-warnings';
  try {
    const { lines } = await talk('echo "<$NODE_OPTIONS>"');
    assert.deepEqual(lines, ['stdout: <>']);
  } finally {
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
  }
});

test('no descriptor of ours reaches it, least of all the write end of its own input', async () => {
  const list = 'ls /proc/self/fd';
  const inherited = spawnSync('sh', ['-c', list], { encoding: 'utf8' }).stdout.split('\n');
  const { lines } = await talk(list);
  assert.deepEqual(
    lines.map((line) => line.slice('stdout: '.length)),
    inherited.filter((name) => name !== ''),
  );
});

test('lines of a stream that breaks are handed over, and its failure is not ours', async () => {
  const stream = new PassThrough();
  const lines: string[] = [];
  const relayed = relayLines(stream, (line) => lines.push(line));
  stream.write('whole\nhal');
  setImmediate(() => stream.destroy(new Error('reset')));
  await relayed;
  assert.deepEqual(lines, ['whole', 'hal']);
});

test('the end of what it prints does not end what can be written to it', async () => {
  const stream = new PassThrough({ allowHalfOpen: true });
  const relayed = relayLines(stream, () => undefined);
  stream.push(null);
  await relayed;
  assert.equal(stream.destroyed, false);
});

const leftovers: readonly [script: string, unread: number][] = [
  ['cat > /dev/null', 0],
  ['sleep 0.2; exit 0', 100_000],
  ['head -c 60000 > /dev/null; exit 0', 40_000],
];
for (const [script, unread] of leftovers) {
  test(`of 100,000 bytes "${script}" leaves ${unread} unread`, async () => {
    const peer = connectCommand(['sh', '-c', script], () => undefined);
    writeSync(peer.inputFd, Buffer.alloc(100_000));
    assert.equal(await closeInput(peer), unread);
    assert.throws(() => fstatSync(peer.inputFd), /EBADF/);
  });
}

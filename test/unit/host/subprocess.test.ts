import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Argv, CommandError, runCommand } from '../../../src/host/subprocess.js';

const node = (script: string, ...args: string[]): Argv => [
  process.execPath,
  '-e',
  script,
  '--',
  ...args,
];

async function failureOf(running: Promise<unknown>): Promise<CommandError> {
  const error = await running.then(
    () => assert.fail('the command succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CommandError, String(error));
  return error;
}

describe('runCommand', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lvmsync-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('hands back what the tool printed on both streams', async () => {
    const output = await runCommand(node('console.log("one\\ntwo"); console.error("three")'));
    assert.deepEqual(output, { stdout: 'one\ntwo\n', stderr: 'three\n' });
  });

  test('keeps a character whole whose bytes arrive in two reads', async () => {
    const script =
      'process.stdout.write(Buffer.of(0xe2)); setTimeout(() => process.stdout.write(Buffer.of(0x82, 0xac)), 50)';
    assert.equal((await runCommand(node(script))).stdout, '€');
  });

  test('gives every character of an argument to the tool as it is', async () => {
    const characters = Array.from({ length: 255 }, (_, index) => String.fromCharCode(index + 1));
    const args = [characters.join(''), '', '$(id)', '; id', '* ?', '`id`'];
    const script = 'process.stdout.write(JSON.stringify(process.argv.slice(1)))';
    const { stdout } = await runCommand(node(script, ...args));
    assert.deepEqual(JSON.parse(stdout), args);
  });

  test('gives the tool an empty standard input', async () => {
    assert.equal((await runCommand(['cat'])).stdout, '');
  });

  for (const shielded of [true, false]) {
    test(`${shielded ? 'shields' : 'does not shield'} it from Ctrl-C, with { shielded: ${shielded} }`, async () => {
      const { stdout } = await runCommand(['cat', '/proc/self/stat'], { shielded });
      // The terminal signals a process group.
      const groupOf = (stat: string) => stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2];
      const own = groupOf(readFileSync('/proc/self/stat', 'utf8'));
      assert.equal(groupOf(stdout) !== own, shielded);
    });
  }

  test('finds tools in the system folders whatever the PATH of the caller is', async () => {
    const path = process.env.PATH;
    process.env.PATH = folder;
    try {
      writeFileSync(join(folder, 'true'), '#!/bin/sh\nexit 5\n', { mode: 0o755 });
      await runCommand(['true']);
    } finally {
      process.env.PATH = path;
    }
  });

  test('keeps LVM_ and DM_ variables and drops what changes loading and language', async () => {
    const set = {
      LVM_SYSTEM_DIR: '/etc/other',
      DM_DISABLE_UDEV: '1',
      NODE_OPTIONS: '--no-warnings',
      LD_LIBRARY_PATH: '/nowhere',
      LC_ALL: 'de_DE.UTF-8',
    };
    const before = { ...process.env };
    Object.assign(process.env, set);
    try {
      const lines = (await runCommand(['env'])).stdout.split('\n');
      const seen = Object.keys(set).map((name) =>
        lines.find((line) => line.startsWith(`${name}=`)),
      );
      assert.deepEqual(seen, [
        'LVM_SYSTEM_DIR=/etc/other',
        'DM_DISABLE_UDEV=1',
        undefined,
        undefined,
        'LC_ALL=C',
      ]);
      assert.ok(lines.includes('PATH=/usr/sbin:/usr/bin:/sbin:/bin'));
    } finally {
      for (const name of Object.keys(set)) delete process.env[name];
      Object.assign(process.env, before);
    }
  });

  test('fails with argv, status, error text and the code it was given', async () => {
    const argv = node('console.error("  first\\n  second"); process.exit(5)');
    const error = await failureOf(runCommand(argv, { code: 'sourceUnfit' }));
    assert.deepEqual(error.argv, argv);
    assert.equal(error.status, 5);
    assert.equal(error.stderr, '  first\n  second\n');
    assert.equal(error.exitStatus, 10);
    assert.equal(error.message, `${process.execPath}: exit status 5 (first; second)`);
  });

  test('fails with exit code 1 where the caller names none', async () => {
    assert.equal((await failureOf(runCommand(['false']))).exitStatus, 1);
  });

  test('leaves warnings out of the message where there are errors', async () => {
    const script = 'console.error("  WARNING: old\\n  TEST MODE: no\\n  broken"); process.exit(1)';
    assert.match((await failureOf(runCommand(node(script)))).message, /exit status 1 \(broken\)$/);
  });

  test('shows warnings where there is nothing else, and cuts a long text', async () => {
    const script = 'console.error("WARNING: " + "x".repeat(10000)); process.exit(1)';
    const { message } = await failureOf(runCommand(node(script)));
    assert.match(message, /\(WARNING: x+\.\.\.\)$/);
    assert.ok(message.length < 600, `${message.length} characters`);
  });

  test('names the signal that ended the tool', async () => {
    const error = await failureOf(runCommand(node('process.kill(process.pid, "SIGKILL")')));
    assert.match(error.message, /ended by SIGKILL/);
    assert.equal(error.status, undefined);
  });

  const packages = [
    ['lvs', 'lvm2'],
    ['vgcfgbackup', 'lvm2'],
    ['dmsetup', 'dmsetup'],
    ['thin_dump', 'thin-provisioning-tools'],
    ['ssh', 'openssh-client'],
  ] as const;
  for (const [tool, name] of packages) {
    test(`names ${name} as the package of a missing ${tool}`, async () => {
      const error = await failureOf(runCommand([join(folder, tool)]));
      assert.equal(error.message, `${folder}/${tool}: not found; it is in the package ${name}`);
      assert.equal(error.hint, `On Debian: apt-get install ${name}.`);
      assert.equal(error.status, undefined);
    });
  }

  test('says only that a tool of unknown origin is not found', async () => {
    const error = await failureOf(runCommand(['no-such-tool-anywhere']));
    assert.equal(error.message, 'no-such-tool-anywhere: not found');
    assert.equal(error.hint, undefined);
  });

  test('says why a file cannot be started', async () => {
    const file = join(folder, 'tool');
    writeFileSync(file, 'text', { mode: 0o644 });
    const error = await failureOf(runCommand([file]));
    assert.equal(error.message, `${file}: cannot be started: permission denied`);
  });

  test('accepts standard output up to the limit and fails on a byte more', async () => {
    const script = 'process.stdout.write("x".repeat(Number(process.argv[1])))';
    const limit = { stdoutLimit: 100_000 };
    assert.equal((await runCommand(node(script, '100000'), limit)).stdout.length, 100_000);
    const error = await failureOf(runCommand(node(script, '100001'), limit));
    assert.match(error.message, /printed more than 100000 bytes$/);
  });

  test('ends a tool that prints without end', async () => {
    const error = await failureOf(runCommand(['yes'], { stdoutLimit: 1000 }));
    assert.match(error.message, /^yes: printed more than 1000 bytes$/);
  });

  test('keeps the first 64 KiB of error text and lets the tool print more', async () => {
    const script = `const write = (text) => process.stderr.write(text);
      write('a'.repeat(60000));
      setTimeout(() => write('b'.repeat(10000)), 50);
      setTimeout(() => { write('c'.repeat(1e6)); process.exitCode = 3; }, 100);`;
    const error = await failureOf(runCommand(node(script)));
    assert.ok(error.stderr === 'a'.repeat(60_000) + 'b'.repeat(5536), error.stderr.slice(-100));
    assert.equal(error.status, 3);
  });

  test('F31: has ended when the tool has, whatever that left behind, and all that it printed is there', async () => {
    const script = `head -c 300000 /dev/zero | tr '\\0' x; echo words >&2; sleep 20 & exit 0`;
    const began = performance.now();
    const { stdout, stderr } = await runCommand(['sh', '-c', script]);
    assert.ok(performance.now() - began < 10_000);
    assert.equal(stdout.length, 300_000);
    assert.equal(stderr, 'words\n');
  });

  test('does not start a tool when its signal is aborted already', async () => {
    const marker = join(folder, 'started');
    const signal = AbortSignal.abort(new Error('stopped before'));
    await assert.rejects(runCommand(['touch', marker], { signal }), /stopped before/);
    await assert.rejects(runCommand(['cat', marker]), CommandError);
  });

  test('ends a running tool on abort, though its own child holds the pipes', async () => {
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const aborter = new AbortController();
    // The grandchild waits in open() until the test lets it go, after the rejection was seen.
    const running = runCommand(['sh', '-c', `cat "$1" & wait`, 'sh', fifo], {
      signal: aborter.signal,
    });
    setTimeout(() => aborter.abort(new Error('stopped by the test')), 100);
    await assert.rejects(running, /stopped by the test/);
    closeSync(openSync(fifo, 'w'));
  });
});

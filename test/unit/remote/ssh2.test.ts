import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ServerChannel } from 'ssh2';
import { LvmsyncError } from '../../../src/base/errors.js';
import { closeInput, type Peer } from '../../../src/remote/peer.js';
import type { HostKey } from '../../../src/remote/ssh-config.js';
import { connectSsh2 } from '../../../src/remote/ssh2.js';
import { type Part, testPeer, writeAll } from '../../helpers/remote/peer-suite.js';
import {
  known,
  makeKeyPair,
  type ServerBehaviour,
  settingsFor,
  startSshServer,
} from '../../helpers/remote/ssh-server.js';
import { scratchFolder } from '../../helpers/scratch.js';

const folder = scratchFolder();
const HOST = makeKeyPair();
const OTHER = makeKeyPair();
const ECDSA = makeKeyPair('ecdsa');
const USER = makeKeyPair();
const STRANGER = makeKeyPair();
const MIB = 1024 * 1024;

function keyFile(name: string, secret: string): string {
  const path = join(folder, name);
  writeFileSync(path, secret, { mode: 0o600 });
  return path;
}
const USER_FILE = keyFile('user', USER.secret);

interface Attempt {
  readonly identityFiles?: readonly string[];
  readonly keys?: readonly HostKey[];
  readonly agent?: string;
}

interface Connected {
  readonly peer: Peer;
  readonly lines: string[];
}

/** Connects to port 127.0.0.1:`port` and asks for the words `lvmsync --apply - /dev/x`. */
async function connect(port: number, attempt: Attempt = {}): Promise<Connected> {
  const { identityFiles = [USER_FILE], keys = [known(HOST)], agent } = attempt;
  const lines: string[] = [];
  const settings = settingsFor(port, identityFiles, keys);
  const peer = await connectSsh2({
    host: 'root@backup',
    args: ['lvmsync', '--apply', '-', '/dev/x'],
    onLine: (line, stream) => lines.push(`${stream}: ${line}`),
    agentSocket: undefined,
    settings: { ...settings, host: { ...settings.host, agent } },
  });
  return { peer, lines };
}

async function withServer(
  behaviour: Partial<ServerBehaviour>,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const server = await startSshServer({ hostKeys: [HOST], user: USER, ...behaviour });
  try {
    await use(server.port);
  } finally {
    await server.close();
  }
}

async function failureOf(work: Promise<unknown>): Promise<LvmsyncError> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof LvmsyncError, String(error));
    assert.equal(error.exitStatus, 17);
    return error;
  }
  assert.fail('it did not fail');
}

/** Reads its whole input, then says how much it was. */
function count(channel: ServerChannel, then: (bytes: number) => void): void {
  let bytes = 0;
  channel.on('data', (data: Buffer) => {
    bytes += data.length;
  });
  channel.on('end', () => then(bytes));
}

/** The part as a channel of the server plays it. */
function play({ reads, lines = 1, meanwhile, ends }: Part, channel: ServerChannel): void {
  const end = (): void => {
    if (ends === 'never') return;
    channel.exit((ends === 'SIGTERM' ? 'TERM' : ends) as number);
    if (reads === 'everything') channel.end();
    else channel.close();
  };
  const print = (then: () => void): void => void channel.write('line\n'.repeat(lines), then);
  if (reads === 'nothing') channel.pause();
  else if (reads === 'a little') channel.once('data', end);
  else {
    if (meanwhile) print(() => undefined);
    count(channel, (bytes) => {
      channel.stderr.write(`${bytes}\n`);
      if (meanwhile) end();
      else print(end);
    });
  }
}

testPeer('the ssh2 package', 'failed', async (t, part) => {
  const onCommand = (channel: ServerChannel): void => play(part, channel);
  const server = await startSshServer({ hostKeys: [HOST], user: USER, onCommand });
  t.after(() => server.close());
  return connect(server.port);
});

test('the command is run that was asked for', async () => {
  let asked = '';
  const onCommand: ServerBehaviour['onCommand'] = (channel, command) => {
    asked = command;
    channel.exit(0);
    channel.end();
  };
  await withServer({ onCommand }, async (port) => {
    const { peer } = await connect(port);
    await writeAll(peer, Buffer.alloc(1));
    await peer.exited;
    assert.equal(asked, 'lvmsync --apply - /dev/x');
  });
});

const logins: readonly [what: string, Partial<ServerBehaviour>, Attempt][] = [
  ['a host with two keys of which one is known', { hostKeys: [ECDSA, HOST] }, {}],
  ['a known ecdsa key beside another', { hostKeys: [HOST, ECDSA] }, { keys: [known(ECDSA)] }],
  ['a key that is known beside an older one', {}, { keys: [known(OTHER), known(HOST)] }],
  [
    'a key file that does not exist before the right one',
    {},
    { identityFiles: ['/absent', USER_FILE] },
  ],
  [
    'a wrong key before the right one',
    {},
    { identityFiles: [keyFile('w', STRANGER.secret), USER_FILE] },
  ],
  ['an agent that does not answer', {}, { agent: join(folder, 'no-agent') }],
];
for (const [what, behaviour, attempt] of logins) {
  test(`logs in: ${what}`, async () => {
    const onCommand = (channel: ServerChannel): void => {
      channel.exit(0);
      channel.end();
    };
    await withServer({ ...behaviour, onCommand }, async (port) => {
      const { peer } = await connect(port, attempt);
      assert.deepEqual(await peer.exited, { kind: 'status', status: 0 });
      await writeAll(peer, Buffer.alloc(1));
    });
  });
}

function lockedKey(): string {
  const path = join(folder, 'locked');
  const made = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', path]);
  assert.equal(made.status, 0, String(made.stderr));
  assert.match(readFileSync(path, 'utf8'), /PRIVATE KEY/);
  return path;
}

const refusals: readonly [what: string, Partial<ServerBehaviour>, Attempt, RegExp, hint: RegExp][] =
  [
    ['an unknown host', {}, { keys: [] }, /no key is known for \[127\.0\.0\.1\]:\d+/, /by hand/],
    [
      'an unknown host, where some key is revoked for all hosts',
      {},
      { keys: [known(STRANGER, true)] },
      /no key is known/,
      /by hand/,
    ],
    ['a changed key', {}, { keys: [known(OTHER)] }, /IDENTIFICATION HAS CHANGED/, /ssh-keygen -R/],
    [
      'a key of another type than the known one',
      {},
      { keys: [known(ECDSA)] },
      /IDENTIFICATION HAS CHANGED/,
      /ssh-keygen -R/,
    ],
    [
      'a revoked key',
      {},
      { keys: [known(HOST), known(HOST, true)] },
      /is revoked/,
      /a new host key/,
    ],
    ['a login that is refused', { user: STRANGER }, {}, /Permission denied/, /user name, the key/],
    ['no key at all', {}, { identityFiles: [] }, /Permission denied/, /ssh-agent/],
    [
      'a file that is no key',
      {},
      { identityFiles: [keyFile('no', 'x')] },
      /Permission denied/,
      /agent/,
    ],
    [
      'a key with a passphrase',
      {},
      { identityFiles: [lockedKey()] },
      /Permission denied/,
      /passphrase/,
    ],
  ];
for (const [what, behaviour, attempt, message, hint] of refusals) {
  test(`${what} ends the run with status 17, a reason and an advice`, async () => {
    let ran = false;
    const onCommand = (): void => {
      ran = true;
    };
    await withServer({ ...behaviour, onCommand }, async (port) => {
      const error = await failureOf(connect(port, attempt));
      assert.match(error.message, /^root@backup: /);
      assert.match(error.message, message);
      assert.match(error.hint ?? '', hint);
      assert.equal(ran, false);
    });
  });
}

test('a command that is refused ends the run', async () => {
  await withServer({}, async (port) => {
    assert.match((await failureOf(connect(port))).message, /could not be started/);
  });
});

for (const how of ['end', 'destroy'] as const) {
  test(`a connection that is lost (${how}) while the command is asked for ends the run`, async () => {
    const onRequest: ServerBehaviour['onRequest'] = (connection) => breakOff(connection, how);
    await withServer({ onRequest }, async (port) => {
      await failureOf(connect(port));
    });
  });
}

/** `destroy` resets the connection without a farewell. */
function breakOff(connection: object, how: 'end' | 'destroy'): void {
  const { _sock: socket } = connection as { _sock: Socket };
  if (how === 'end') socket.end();
  else socket.resetAndDestroy();
}

test('where nobody listens the run ends', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const error = await failureOf(connect(port));
  assert.match(error.message, /connection failed \(.*ECONNREFUSED/);
});

for (const [what, greeting] of [
  ['at once', ''],
  ['after its greeting', 'SSH-2.0-broken\r\n'],
  ['after something that is no greeting', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
] as const) {
  test(`a server that hangs up ${what} ends the run`, async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(greeting);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      await failureOf(connect((server.address() as AddressInfo).port));
    } finally {
      server.close();
    }
  });
}

for (const how of ['end', 'destroy'] as const) {
  test(`a connection that breaks (${how}) while data are on their way ends the wait for it`, async () => {
    const onCommand: ServerBehaviour['onCommand'] = (channel, _, connection) => {
      channel.write('working\n');
      channel.once('data', () => breakOff(connection, how));
    };
    await withServer({ onCommand }, async (port) => {
      const { peer, lines } = await connect(port);
      const [exit, taken] = await Promise.all([
        peer.exited,
        writeAll(peer, Buffer.alloc(64 * MIB)),
      ]);
      assert(exit.kind === 'failed');
      assert.match(exit.error.message, /^root@backup: the connection broke/);
      assert.equal(taken, false);
      assert.deepEqual(lines, ['stdout: working']);
    });
  });
}

test('what never left for a command that ended with 0 is counted as unread', async () => {
  const commands: ServerChannel[] = [];
  const onCommand = (channel: ServerChannel): void => {
    // It takes what the channel's window and its buffer let in: no more than four of the five MiB.
    channel.pause();
    commands.push(channel);
  };
  await withServer({ onCommand }, async (port) => {
    const { peer } = await connect(port);
    const writer = spawn('head', ['-c', `${5 * MIB}`, '/dev/zero'], {
      stdio: ['ignore', peer.inputFd, 'inherit'],
    });
    assert.deepEqual(await once(writer, 'exit'), [0, null]);
    commands[0]?.exit(0);
    commands[0]?.close();
    const unread = await closeInput(peer);
    assert.ok(unread >= MIB, `${unread} bytes`);
    assert.deepEqual(await peer.exited, { kind: 'status', status: 0 });
  });
});

test('a receiver that closes its output early still gets all of its input', async () => {
  let received = 0;
  const onCommand: ServerBehaviour['onCommand'] = (channel) => {
    channel.eof();
    count(channel, (bytes) => {
      received = bytes;
      channel.close();
    });
  };
  await withServer({ onCommand }, async (port) => {
    const { peer } = await connect(port);
    // Its end of output has arrived by then.
    await new Promise((tick) => setTimeout(tick, 50));
    await writeAll(peer, Buffer.alloc(8 * MIB));
    // This server cannot tell a status once it has closed its output; the data are what counts.
    await peer.exited;
    assert.equal(received, 8 * MIB);
  });
});

test('a flood of output neither stops the data nor fills the memory', async () => {
  const flood = Buffer.from(`${'x'.repeat(1023)}\n`.repeat(1024));
  let received = 0;
  const onCommand: ServerBehaviour['onCommand'] = (channel) => {
    let left = 32;
    const more = (): void => {
      while (left-- > 0) if (!channel.write(flood)) return void channel.once('drain', more);
    };
    more();
    count(channel, (bytes) => {
      received = bytes;
      channel.exit(0);
      channel.end();
    });
  };
  await withServer({ onCommand }, async (port) => {
    const { peer, lines } = await connect(port);
    assert.equal(await writeAll(peer, Buffer.alloc(16 * MIB)), true);
    assert.deepEqual(await peer.exited, { kind: 'status', status: 0 });
    assert.equal(lines.filter((line) => line.startsWith('stdout: ')).length, 32 * 1024);
    assert.equal(received, 16 * MIB);
  });
});

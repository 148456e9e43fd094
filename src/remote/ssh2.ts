/** A peer reached by the ssh2 package: for machines from which no ssh command is to be run. */

import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import type {
  AnyAuthMethod,
  Client,
  ClientChannel,
  ConnectConfig,
  ServerHostKeyAlgorithm,
} from 'ssh2';
import { LvmsyncError } from '../base/errors.js';
import { native } from '../host/native.js';
import { type OnLine, type Peer, type PeerExit, relayLines } from './peer.js';
import { type HostKey, readHostKeys, readSshHost, type SshHost } from './ssh-config.js';

export interface Ssh2Request {
  /** `[user@]host` as for ssh. */
  readonly host: string;
  /** Quoted for the shell there. */
  readonly args: readonly string[];
  readonly onLine: OnLine;
  readonly agentSocket: string | undefined;
  /** The configuration; given by tests. */
  readonly settings?: { readonly host: SshHost; readonly keys: readonly HostKey[] };
}

const CONNECT_TIMEOUT_MS = 20_000;
const KEEPALIVE_MS = 15_000;

/** Throws (transport) if the host cannot be reached, is not the known one, or refuses the login. */
export async function connectSsh2(request: Ssh2Request): Promise<Peer> {
  const { Client } = await loadSsh2();
  const host = request.settings?.host ?? (await readSshHost(request.host, request.agentSocket));
  const keys = request.settings?.keys ?? (await readHostKeys(host));
  const client = new Client();
  await login(client, host, keys);
  const opened = await openChannel(client, host, request.args.join(' '));
  return makePeer(client, opened, request.onLine);
}

async function loadSsh2(): Promise<{ readonly Client: new () => Client }> {
  try {
    return (await import('ssh2')).default;
  } catch (cause) {
    throw new LvmsyncError('transport', 'the package ssh2 is not installed', {
      hint: 'Use --transport command.',
      cause,
    });
  }
}

function login(client: Client, host: SshHost, keys: readonly HostKey[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let refusal: LvmsyncError | undefined;
    const hostVerifier = (offered: Buffer): boolean => {
      refusal = judgeHostKey(host, keys, offered);
      return refusal === undefined;
    };
    const fail = (error: Error & { level?: string }): void => {
      // An agent that does not answer leaves the key files to be tried.
      if (error.level === 'agent') return;
      client.destroy();
      reject(refusal ?? loginFailure(host, error));
    };
    client.once('ready', resolve);
    // These stay: an error that nobody listens to would end the program, and one is possible at any time.
    client.on('error', fail);
    client.once('close', () => fail(new Error('it was closed')));
    connectConfig(host, keys)
      .then((config) => client.connect({ ...config, hostVerifier }))
      .catch(reject);
  });
}

async function connectConfig(host: SshHost, keys: readonly HostKey[]): Promise<ConnectConfig> {
  return {
    host: host.hostname,
    port: host.port,
    username: host.user,
    readyTimeout: CONNECT_TIMEOUT_MS,
    keepaliveInterval: KEEPALIVE_MS,
    authHandler: await authMethods(host),
    algorithms: { serverHostKey: preferredTypes(keys) },
  };
}

const SIGNATURES: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
};

/** The host is asked for a key that is known, before whichever it would offer first. */
function preferredTypes(keys: readonly HostKey[]): ServerHostKeyAlgorithm[] {
  const trusted = keys.filter(({ revoked }) => !revoked);
  const known = trusted.flatMap(({ type }) => SIGNATURES[type] ?? []);
  return [...new Set([...known, ...Object.values(SIGNATURES).flat()])];
}

/** The agent first, then each key file that can be read without a passphrase. */
async function authMethods({ user, agent, identityFiles }: SshHost): Promise<AnyAuthMethod[]> {
  const methods: AnyAuthMethod[] = [];
  if (agent !== undefined) methods.push({ type: 'agent', username: user, agent });
  const { utils } = (await import('ssh2')).default;
  for (const path of identityFiles) {
    const key = await readFile(path).catch(() => undefined);
    if (key === undefined || utils.parseKey(key) instanceof Error) continue;
    methods.push({ type: 'publickey', username: user, key });
  }
  return methods;
}

/** Undefined for the right key. */
export function judgeHostKey(
  { name, keyName }: SshHost,
  keys: readonly HostKey[],
  offered: Buffer,
): LvmsyncError | undefined {
  const matching = keys.filter(({ key }) => key.equals(offered));
  if (matching.some(({ revoked }) => revoked)) {
    return new LvmsyncError('transport', `${name}: its host key is revoked`, {
      hint: 'Its administrator must give it a new host key.',
    });
  }
  if (matching.length > 0) return undefined;
  // A key may be revoked for all hosts: that alone does not make one known.
  if (keys.every(({ revoked }) => revoked)) {
    return new LvmsyncError(
      'transport',
      `${name}: Host key verification failed: no key is known for ${keyName}`,
      {
        hint: 'Connect once by hand with ssh, compare the key, and accept it.',
      },
    );
  }
  return new LvmsyncError(
    'transport',
    `${name}: REMOTE HOST IDENTIFICATION HAS CHANGED: its key is not the known one for ${keyName}`,
    { hint: 'Find out why before you remove the old one with ssh-keygen -R.' },
  );
}

function loginFailure({ name }: SshHost, error: Error & { level?: string }): LvmsyncError {
  if (error.level === 'client-authentication') {
    return new LvmsyncError('transport', `${name}: Permission denied (no key was accepted)`, {
      hint: 'Check the user name, the key, and ssh-agent; a key with a passphrase must be in the agent.',
      cause: error,
    });
  }
  return new LvmsyncError('transport', `${name}: the connection failed (${error.message})`, {
    hint: 'Check the name of the host, the network and the ssh server there.',
    cause: error,
  });
}

interface OpenChannel {
  readonly channel: ClientChannel;
  /** How it ended; never rejects. */
  readonly ended: Promise<PeerExit>;
}

function openChannel(client: Client, { name }: SshHost, command: string): Promise<OpenChannel> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error === undefined) {
        // At once: the end of a short command may stand in the packet that is being read now.
        resolve({ channel, ended: channelEnd(client, channel, name) });
        return;
      }
      client.destroy();
      const message = `${name}: the command could not be started (${error.message})`;
      reject(new LvmsyncError('transport', message, { cause: error }));
    });
  });
}

function makePeer(client: Client, { channel, ended }: OpenChannel, onLine: OnLine): Peer {
  const { readFd, writeFd } = native.makePipe('ours');
  const input = new Socket({ fd: readFd, readable: true, writable: false });
  const printed = Promise.all([
    relayLines(channel, (line) => onLine(line, 'stdout')),
    relayLines(channel.stderr, (line) => onLine(line, 'stderr')),
  ]);
  const held = { bytes: 0 };
  void pump(input, channel, held);
  return {
    inputFd: writeFd,
    heldBytes: () => held.bytes,
    exited: ended.then(async (exit) => {
      await printed;
      input.destroy();
      client.destroy();
      return exit;
    }),
    kill: () => client.destroy(),
  };
}

/**
 * Copies the pipe into the channel, at the channel's pace, until either ends. `held` counts what was taken
 * from the pipe and has not left: what the channel's window did not let through yet.
 */
async function pump(input: Socket, channel: ClientChannel, held: { bytes: number }): Promise<void> {
  try {
    for await (const bytes of input) {
      held.bytes += bytes.length;
      if (!channel.writable) break;
      const left = (error?: Error | null): void => {
        if (!error) held.bytes -= bytes.length;
      };
      if (!channel.write(bytes, left)) await drained(channel);
    }
    channel.end();
  } catch {
    // The pipe or the channel broke; the channel's end shows how.
  }
}

/** A write that is pending when a channel closes is never called back: its close counts as well. */
function drained(channel: ClientChannel): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) channel.removeListener(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) channel.once(event, done);
  });
}

function channelEnd(client: Client, channel: ClientChannel, host: string): Promise<PeerExit> {
  return new Promise((resolve) => {
    let broken: Error | undefined;
    let exit: PeerExit | undefined;
    const note = (error: Error): void => {
      broken ??= error;
    };
    client.on('error', note);
    channel.on('error', note);
    channel.on('exit', (status: number | null, signal?: string) => {
      exit =
        status === null
          ? { kind: 'signal', signal: signal ?? '', isOfPeer: true }
          : { kind: 'status', status };
    });
    const finish = (): void => {
      const why = broken === undefined ? 'it was closed' : broken.message;
      const error = new LvmsyncError('transport', `${host}: the connection broke (${why})`);
      resolve(exit ?? { kind: 'failed', error, hadStarted: true });
    };
    channel.once('close', finish);
    client.once('close', finish);
  });
}

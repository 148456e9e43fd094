/** An ssh server in this process: the ssh2 package's own, made to behave or not. */

import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { AuthContext, Connection, PublicKeyAuthContext, ServerChannel } from 'ssh2';
import type { HostKey, SshHost } from '../../../src/remote/ssh-config.js';

// Loaded as the program loads it: it is a CommonJS package.
const ssh2 = createRequire(import.meta.url)('ssh2') as typeof import('ssh2');

export interface KeyPair {
  /** For a key file. */
  readonly secret: string;
  readonly type: string;
  /** Raw, as in known_hosts. */
  readonly blob: Buffer;
}

export function makeKeyPair(type: 'ed25519' | 'ecdsa' = 'ed25519'): KeyPair {
  let pair = generate(type);
  // Of 256 ed25519 keys the package makes about one that is a byte too short, for ssh-keygen as for itself.
  while (ssh2.utils.parseKey(pair.private) instanceof Error) pair = generate(type);
  const [name = '', base64 = ''] = pair.public.split(' ');
  return { secret: pair.private, type: name, blob: Buffer.from(base64, 'base64') };
}

function generate(type: 'ed25519' | 'ecdsa'): {
  readonly private: string;
  readonly public: string;
} {
  return type === 'ed25519'
    ? ssh2.utils.generateKeyPairSync('ed25519')
    : ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 });
}

export interface ServerBehaviour {
  readonly hostKeys: readonly KeyPair[];
  /** Whose login is accepted. */
  readonly user: KeyPair;
  /** Called for a command; without it every command is refused. */
  readonly onCommand?: (channel: ServerChannel, command: string, connection: Connection) => void;
  /** Called instead of an answer to the request to run a command. */
  readonly onRequest?: (connection: Connection) => void;
}

export interface RunningServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function startSshServer(behaviour: ServerBehaviour): Promise<RunningServer> {
  const { hostKeys, user, onCommand, onRequest } = behaviour;
  const connections = new Set<Connection>();
  const server = new ssh2.Server(
    { hostKeys: hostKeys.map(({ secret }) => secret) },
    (connection) => {
      connections.add(connection);
      connection.on('error', () => undefined);
      connection.on('close', () => connections.delete(connection));
      connection.on('authentication', (login) => judgeLogin(login, user));
      connection.on('session', (accept) => {
        accept().on('exec', (take, refuse, { command }) => {
          if (onRequest !== undefined) onRequest(connection);
          else if (onCommand === undefined) refuse();
          else onCommand(take(), command, connection);
        });
      });
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const connection of connections) connection.end();
      server.close();
      await once(server, 'close');
    },
  };
}

function judgeLogin(login: AuthContext, user: KeyPair): void {
  if (login.method === 'publickey' && isKeyOf(user, login)) login.accept();
  else login.reject(['publickey']);
}

function isKeyOf(user: KeyPair, { key, blob, signature, hashAlgo }: PublicKeyAuthContext): boolean {
  if (!key.data.equals(user.blob)) return false;
  // The first question is only whether the key would do.
  if (blob === undefined || signature === undefined) return true;
  const parsed = ssh2.utils.parseKey(user.secret);
  return !(parsed instanceof Error) && parsed.verify(blob, signature, hashAlgo) === true;
}

/** What the user's configuration would say of that server. */
export function settingsFor(
  port: number,
  identityFiles: readonly string[],
  keys: readonly HostKey[],
): { readonly host: SshHost; readonly keys: readonly HostKey[] } {
  const host: SshHost = {
    name: 'root@backup',
    hostname: '127.0.0.1',
    port,
    user: 'root',
    identityFiles,
    agent: undefined,
    knownHostsFiles: [],
    keyName: `[127.0.0.1]:${port}`,
  };
  return { host, keys };
}

export function known(pair: KeyPair, revoked = false): HostKey {
  return { type: pair.type, key: pair.blob, revoked };
}

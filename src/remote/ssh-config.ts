/**
 * The user's OpenSSH configuration of a host, asked of `ssh -G`, and which keys it is known
 * by, asked of `ssh-keygen -F`: the same files, the same rules, and no parser of ours.
 */

import { homedir } from 'node:os';
import { LvmsyncError } from '../base/errors.js';
import { CommandError, type RunCommand, runCommand } from '../host/subprocess.js';

export interface SshHost {
  /** As the user named it, with `user@`. */
  readonly name: string;
  readonly hostname: string;
  readonly port: number;
  readonly user: string;
  /** Paths; some may not exist. */
  readonly identityFiles: readonly string[];
  /** The agent's socket, if one is to be used. */
  readonly agent: string | undefined;
  readonly knownHostsFiles: readonly string[];
  /** The name under which its keys are filed. */
  readonly keyName: string;
}

export interface HostKey {
  /** ssh-ed25519, ssh-rsa, ... */
  readonly type: string;
  /** The raw public key. */
  readonly key: Buffer;
  readonly revoked: boolean;
}

const TRANSPORT = { code: 'transport' } as const;

/** Throws (transport) where there is no ssh to ask, or where the host is behind a proxy. */
export async function readSshHost(
  name: string,
  agentSocket: string | undefined,
  run: RunCommand = runCommand,
): Promise<SshHost> {
  const { stdout } = await run(['ssh', '-G', '--', name], TRANSPORT);
  const values = parseConfig(stdout);
  const one = (key: string): string => values.get(key)?.[0] ?? '';
  for (const key of ['proxyjump', 'proxycommand']) {
    if (one(key) === '' || one(key) === 'none') continue;
    throw new LvmsyncError('transport', `${name}: ssh2 cannot go through a proxy (${key})`, {
      hint: 'Use --transport command for this host.',
    });
  }
  const port = Number(one('port'));
  const alias = one('hostkeyalias');
  const hostname = one('hostname');
  const files = [
    ...splitPaths(one('userknownhostsfile')),
    ...splitPaths(one('globalknownhostsfile')),
  ];
  return {
    name,
    hostname,
    port,
    user: one('user'),
    identityFiles: (values.get('identityfile') ?? []).map(expandHome),
    agent: chooseAgent(one('identityagent'), agentSocket),
    knownHostsFiles: files.map(expandHome),
    keyName: alias !== '' ? alias : port === 22 ? hostname : `[${hostname}]:${port}`,
  };
}

/** The keys the host is known by; none for an unknown one. */
export async function readHostKeys(
  { keyName, knownHostsFiles }: SshHost,
  run: RunCommand = runCommand,
): Promise<readonly HostKey[]> {
  const keys: HostKey[] = [];
  for (const file of knownHostsFiles) {
    try {
      const { stdout } = await run(['ssh-keygen', '-F', keyName, '-f', file], TRANSPORT);
      keys.push(...parseHostKeys(stdout));
    } catch (error) {
      // Status 1: no such file, or no such host in it. A missing ssh-keygen has no status.
      if (!(error instanceof CommandError) || error.status === undefined) throw error;
    }
  }
  return keys;
}

/** Lines `key value` of `ssh -G`; some keys come more than once. */
function parseConfig(text: string): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space < 0) continue;
    const key = line.slice(0, space).toLowerCase();
    values.set(key, [...(values.get(key) ?? []), line.slice(space + 1)]);
  }
  return values;
}

function splitPaths(text: string): string[] {
  return text.split(/\s+/).filter((path) => path !== '' && path !== 'none');
}

function expandHome(path: string): string {
  return path.startsWith('~/') ? `${homedir()}${path.slice(1)}` : path;
}

function chooseAgent(configured: string, socket: string | undefined): string | undefined {
  if (configured === 'none') return undefined;
  if (configured === '' || configured === 'SSH_AUTH_SOCK') return socket;
  return expandHome(configured);
}

/** `[@marker] hosts type base64`; lines that begin with # are remarks of ssh-keygen. */
function parseHostKeys(text: string): HostKey[] {
  const keys: HostKey[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('#') || line.trim() === '') continue;
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
    const [, type = '', base64 = ''] = words;
    // A certificate authority's key is not the host's own.
    if (marker === '@cert-authority') continue;
    keys.push({ type, key: Buffer.from(base64, 'base64'), revoked: marker === '@revoked' });
  }
  return keys;
}

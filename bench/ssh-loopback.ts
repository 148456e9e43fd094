/** An OpenSSH server of this machine for this user, on loopback, and what a run through it costs. */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TICKS_PER_SECOND } from './cost.js';

const SSHD = '/usr/sbin/sshd';
/** Faster than the default where the processor knows AES, so harder to keep up with. */
export const CIPHER = 'aes128-gcm@openssh.com';
const PATIENCE_MS = 10_000;

export class SshLoopback {
  /** Words that run a command on the "other host": `[...client, HOST, command]`. */
  readonly client: readonly string[];
  readonly #pid: number;
  readonly #folder: string;

  private constructor(folder: string, port: number, pid: number) {
    this.#folder = folder;
    this.#pid = pid;
    this.client = ['ssh', '-F', join(folder, 'config'), '-p', String(port)];
  }

  static missing(): string | undefined {
    const found = spawnSync(SSHD, ['-V']).error === undefined;
    return found ? undefined : `no ${SSHD}: it is in the Debian package openssh-server`;
  }

  /** Listens on return; `folder` is made and removed with `stop`. */
  static async start(folder: string): Promise<SshLoopback> {
    mkdirSync(folder, { mode: 0o700 });
    const port = await freePort();
    for (const name of ['host_key', 'user_key']) {
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
    }
    const key = join(folder, 'user_key');
    writeFileSync(join(folder, 'authorized'), readFileSync(`${key}.pub`), { mode: 0o600 });
    const hostKey = readFileSync(join(folder, 'host_key.pub'), 'utf8');
    writeFileSync(join(folder, 'known'), `[127.0.0.1]:${port} ${hostKey}`);
    writeFileSync(join(folder, 'config'), clientConfig(folder, key));
    writeFileSync(join(folder, 'server'), serverConfig(folder, port));
    // Root's server drops its rights in this folder.
    if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    const server = spawn(SSHD, ['-D', '-f', join(folder, 'server'), '-E', join(folder, 'log')], {
      stdio: 'ignore',
    });
    const ssh = new SshLoopback(folder, port, server.pid ?? 0);
    await ssh.#answers();
    return ssh;
  }

  /** Seconds of the server and of all its sessions that have ended, user and system. */
  async serverCpu(): Promise<number> {
    const children = `/proc/${this.#pid}/task/${this.#pid}/children`;
    while (readFileSync(children, 'utf8').trim() !== '') await delay(10);
    const text = readFileSync(`/proc/${this.#pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return ticks / TICKS_PER_SECOND;
  }

  /** A script in the folder, to be run as a command. */
  script(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  stop(): void {
    process.kill(this.#pid);
    rmSync(this.#folder, { recursive: true });
  }

  async #answers(): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    const [program = '', ...words] = this.client;
    for (;;) {
      const { status, stderr } = spawnSync(program, [...words, HOST, 'true'], { encoding: 'utf8' });
      if (status === 0) return;
      if (performance.now() > end) {
        this.stop();
        throw new Error(`sshd does not answer: ${stderr}`);
      }
      await delay(100);
    }
  }
}

export const HOST = '127.0.0.1';

function clientConfig(folder: string, key: string): string {
  return [
    'Host *',
    `  IdentityFile ${key}`,
    '  IdentitiesOnly yes',
    `  UserKnownHostsFile ${folder}/known`,
    '  BatchMode yes',
    `  Ciphers ${CIPHER}`,
    '',
  ].join('\n');
}

function serverConfig(folder: string, port: number): string {
  return [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${folder}/host_key`,
    `AuthorizedKeysFile ${folder}/authorized`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    '',
  ].join('\n');
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

// Inside the guest: a real OpenSSH server on loopback, and a home folder for its clients. The files of
// the machine whose root file system the guest borrows stay as they are: what differs lies in the
// guest's tmpfs and is mounted over them, which only the guest sees.

import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { CLI, runTool } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { tool } from './tool.js';

const SSHD = '/usr/sbin/sshd';

/**
 * All of them are this guest. The client knows `right` and its names by their key, `changed` by
 * another key than it shows, `unknown` not at all. Sessions at `bare` have no lvmsync in their PATH.
 * `relayed` is reached at the port below, where a test may listen.
 */
export const HOST = {
  right: 'localhost',
  changed: '127.0.0.2',
  unknown: '127.0.0.3',
  bare: '127.0.0.4',
  relayed: 'relayed',
} as const;

/** Behind `relayed`. */
export const RELAY_PORT = 2222;
export const SSH_PORT = 22;

/** What is sent on to a session of the server from this process's environment: LVM needs it here. */
const SESSION_VARIABLES = ['DM_DISABLE_UDEV', 'LVM_SYSTEM_DIR', 'LVM_SUPPRESS_FD_WARNINGS'];

export class SshServer {
  /** First in the PATH of every session but those of `HOST.bare`. It holds `lvmsync`. */
  readonly programs: string;
  /** The temporary folder of every session. */
  readonly temporary: string;
  readonly #folder = scratchFolder();

  private constructor() {
    this.programs = `${this.#folder}/programs`;
    this.temporary = `${this.#folder}/temporary`;
    for (const folder of [this.programs, this.temporary]) mkdirSync(folder);
    this.addProgram('lvmsync', `exec ${process.execPath} ${CLI} "$@"`);
  }

  /** Why there can be none; undefined where there can. */
  static missing(): string | undefined {
    if (existsSync(SSHD)) return undefined;
    return `no ${SSHD}: it is in the Debian package openssh-server`;
  }

  /** Listens when this returns. One guest has one of them. */
  static start(): SshServer {
    const server = new SshServer();
    const home = `${server.#folder}/home`;
    settleIn(home);
    tool('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/etc/ssh');
    const hostKey = makeKey('/etc/ssh/ssh_host_ed25519_key');
    const otherKey = makeKey(`${server.#folder}/other_key`);
    mkdirSync(`${home}/.ssh`, { mode: 0o700 });
    writeFileSync(`${home}/.ssh/authorized_keys`, makeKey(`${home}/.ssh/id_ed25519`));
    writeFileSync(
      `${home}/.ssh/known_hosts`,
      `${HOST.right},127.0.0.1,::1,${HOST.bare} ${hostKey}${HOST.changed} ${otherKey}`,
    );
    writeFileSync(
      `${home}/.ssh/config`,
      `Host ${HOST.relayed}\n  HostName 127.0.0.1\n  Port ${RELAY_PORT}\n` +
        `  HostKeyAlias ${HOST.right}\nHost *\n  BatchMode yes\n`,
    );
    // Where the kernel has it, it is a module.
    runTool(['modprobe', '-d', '/run/modules', 'ipv6']);
    server.#listen();
    return server;
  }

  /** A shell script that sessions find by its name; returns its path, for --remote-path. */
  addProgram(name: string, script: string): string {
    const path = `${this.programs}/${name}`;
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  stop(): void {
    process.kill(Number(readFileSync(`${this.#folder}/pid`, 'utf8')));
  }

  #listen(): void {
    const variables = SESSION_VARIABLES.map((name) => `${name}=${process.env[name] ?? ''}`);
    variables.push(`TMPDIR=${this.temporary}`);
    const systemPath = '/usr/sbin:/usr/bin:/sbin:/bin';
    const config = '/etc/ssh/sshd_config';
    writeFileSync(
      config,
      [
        `Port ${SSH_PORT}`,
        'ListenAddress 0.0.0.0',
        ...(hasIpv6() ? ['ListenAddress ::'] : []),
        `PidFile ${this.#folder}/pid`,
        'UsePAM no',
        'StrictModes no',
        'PermitRootLogin prohibit-password',
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        `SetEnv PATH=${this.programs}:${systemPath} ${variables.join(' ')}`,
        `Match LocalAddress ${HOST.bare}`,
        `  SetEnv PATH=${systemPath} ${variables.join(' ')}`,
        '',
      ].join('\n'),
    );
    const words = [SSHD, '-f', config, '-E', `${this.#folder}/log`];
    // A newer sshd makes a client wait whose connections break, as the tests' do on purpose.
    const patience = ['-o', 'PerSourcePenalties=no'];
    const knowsPatience = runTool([...words, '-t', ...patience]).status === 0;
    tool(...words, ...(knowsPatience ? patience : []));
  }
}

/** Resolves when nobody holds the device: a receiver whose connection broke has to notice first. */
export async function becomesFree(path: string): Promise<void> {
  for (;;) {
    try {
      closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL));
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EBUSY')) throw error;
      await delay(100);
    }
  }
}

/** Whether this guest has an IPv6 loopback. */
export function hasIpv6(): boolean {
  return existsSync('/proc/net/if_inet6') && readFileSync('/proc/net/if_inet6', 'utf8') !== '';
}

/**
 * Makes an empty folder root's home. ssh and sshd ask the user database for it, which has to change;
 * they would not look at HOME.
 */
function settleIn(home: string): void {
  mkdirSync(home);
  const users = `${home}/.users`;
  copyFileSync('/etc/passwd', users);
  const others = readFileSync(users, 'utf8').replace(/^root:.*\n/m, '');
  writeFileSync(users, `root:x:0:0:root:${home}:/bin/sh\n${others}`);
  // A locked password would refuse logins with a key, too.
  writeFileSync(`${home}/.passwords`, 'root:*:19000:0:99999:7:::\n', { mode: 0o600 });
  tool('mount', '--bind', users, '/etc/passwd');
  tool('mount', '--bind', `${home}/.passwords`, '/etc/shadow');
  process.env.HOME = home;
  delete process.env.SSH_AUTH_SOCK;
}

/** Returns the public half, as one line. */
function makeKey(path: string): string {
  tool('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path);
  return readFileSync(`${path}.pub`, 'utf8');
}

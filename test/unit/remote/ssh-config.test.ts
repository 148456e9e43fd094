import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import {
  type Argv,
  CommandError,
  type RunCommand,
  runCommand,
} from '../../../src/host/subprocess.js';
import { readHostKeys, readSshHost, type SshHost } from '../../../src/remote/ssh-config.js';
import { scratchFolder } from '../../helpers/scratch.js';

/** A tool that prints `stdout` or ends with `status`, and what it was asked. */
function fakeTool(answer: string | number): { readonly run: RunCommand; readonly asked: Argv[] } {
  const asked: Argv[] = [];
  const run: RunCommand = async (argv) => {
    asked.push(argv);
    if (typeof answer === 'string') return { stdout: answer, stderr: '' };
    throw new CommandError({ argv, reason: `exit status ${answer}`, status: answer });
  };
  return { run, asked };
}

function readFake(config: string, agent?: string): Promise<SshHost> {
  const lines = `user root\nhostname h\nport 22\n${config}\n`;
  return readSshHost('h', agent, fakeTool(lines).run);
}

async function failureOf(work: Promise<unknown>): Promise<LvmsyncError> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof LvmsyncError);
    return error;
  }
  assert.fail('it did not fail');
}

describe('the settings of a host, from what ssh -G says', () => {
  test('the host is asked for behind --, so that it is never an option', async () => {
    const { run, asked } = fakeTool('hostname h\nport 22\nuser root\n');
    await readSshHost('root@h', undefined, run);
    assert.deepEqual(asked, [['ssh', '-G', '--', 'root@h']]);
  });

  const agents: readonly [line: string, socket: string | undefined, agent: string | undefined][] = [
    ['', '/run/agent', '/run/agent'],
    ['', undefined, undefined],
    ['identityagent SSH_AUTH_SOCK', '/run/agent', '/run/agent'],
    ['identityagent none', '/run/agent', undefined],
    ['identityagent /other', '/run/agent', '/other'],
    ['identityagent ~/other', undefined, join(homedir(), 'other')],
  ];
  for (const [line, socket, agent] of agents) {
    test(`"${line}" and the socket ${socket} make the agent ${agent}`, async () => {
      assert.equal((await readFake(line, socket)).agent, agent);
    });
  }

  for (const line of ['proxyjump bastion', 'proxycommand nc %h %p']) {
    test(`"${line}" is refused: ssh2 goes no other way than directly`, async () => {
      const error = await failureOf(readFake(line));
      assert.equal(error.exitStatus, 17);
      assert.match(error.hint ?? '', /--transport command/);
    });
  }

  test('a proxy that is "none" is none', async () => {
    assert.equal((await readFake('proxyjump none\nproxycommand none')).port, 22);
  });

  test('a tool that is missing is a failure of the transport', async () => {
    const run: RunCommand = async (argv, options) => {
      throw new CommandError({ argv, code: options?.code, reason: 'not found' });
    };
    assert.equal((await failureOf(readSshHost('h', undefined, run))).exitStatus, 17);
    assert.equal(
      (await failureOf(readHostKeys(await readFake('userknownhostsfile /k'), run))).exitStatus,
      17,
    );
  });
});

const missing = spawnSync('ssh', ['-V']).error !== undefined;
const skip = missing ? 'the OpenSSH client is not installed here' : false;

describe('with the real ssh and ssh-keygen', { skip }, () => {
  const folder = scratchFolder();
  const at = (name: string): string => join(folder, name);

  /** The account's own configuration is kept out. */
  const run: RunCommand = (argv, options) => {
    const [tool, ...words] = argv;
    return runCommand(tool === 'ssh' ? [tool, '-F', at('config'), ...words] : argv, options);
  };

  function makeKey(name: string, type = 'ed25519'): string {
    const made = spawnSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', at(name)]);
    assert.equal(made.status, 0, String(made.stderr));
    return readFileSync(at(`${name}.pub`), 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ');
  }
  const first = makeKey('first');
  const second = makeKey('second', 'ecdsa');
  const raw = (key: string): Buffer => Buffer.from(key.split(' ')[1] ?? '', 'base64');

  function configure(text: string, knownHosts = ''): void {
    writeFileSync(at('known'), knownHosts);
    const files = `UserKnownHostsFile ${at('known')} ${at('absent')}\nGlobalKnownHostsFile none\n`;
    writeFileSync(at('config'), `${text}\nHost *\n${files}`);
  }

  async function keysOf(name: string): Promise<[type: string, key: string, revoked: boolean][]> {
    const keys = await readHostKeys(await readSshHost(name, undefined, run), run);
    return keys.map(({ type, key, revoked }) => [type, key.toString('hex'), revoked]);
  }
  const trusted = (key: string) => [key.split(' ')[0], raw(key).toString('hex'), false];
  const revoked = (key: string) => [key.split(' ')[0], raw(key).toString('hex'), true];

  test('a plain host is taken as it is', async () => {
    configure('');
    const host = await readSshHost('root@backup', '/agent', run);
    assert.deepEqual(
      { ...host, identityFiles: [] },
      {
        name: 'root@backup',
        hostname: 'backup',
        port: 22,
        user: 'root',
        identityFiles: [],
        agent: '/agent',
        knownHostsFiles: [at('known'), at('absent')],
        keyName: 'backup',
      },
    );
    assert.ok(host.identityFiles.includes(join(homedir(), '.ssh/id_ed25519')));
  });

  test('an alias gets name, port, user and key file from the configuration', async () => {
    const lines = ['Hostname 192.0.2.7', 'Port 2222', 'User keeper', 'IdentityAgent none'];
    configure(`Host store\n${lines.join('\n')}\nIdentityFile "~/keys/a b"`);
    const host = await readSshHost('store', '/agent', run);
    assert.deepEqual(
      [host.hostname, host.port, host.user, host.identityFiles, host.agent, host.keyName],
      ['192.0.2.7', 2222, 'keeper', [join(homedir(), 'keys/a b')], undefined, '[192.0.2.7]:2222'],
    );
  });

  test('an IPv6 address is a host', async () => {
    configure('', `2001:db8::1 ${first}\n`);
    assert.equal((await readSshHost('root@2001:db8::1', undefined, run)).hostname, '2001:db8::1');
    assert.deepEqual(await keysOf('root@2001:db8::1'), [trusted(first)]);
  });

  test('a proxy of the configuration is refused', async () => {
    configure('Host far\n ProxyJump bastion');
    assert.match((await failureOf(readSshHost('far', undefined, run))).message, /proxyjump/);
  });

  const known: readonly [
    what: string,
    config: string,
    knownHosts: string,
    name: string,
    keys: unknown[],
  ][] = [
    ['no entry', '', `other ${first}\n`, 'backup', []],
    ['an empty file', '', '', 'backup', []],
    ['an entry', '', `backup ${first}\n`, 'backup', [trusted(first)]],
    [
      'two keys',
      '',
      `backup ${first}\nbackup ${second}\n`,
      'backup',
      [trusted(first), trusted(second)],
    ],
    [
      'an entry with a remark',
      '',
      `# remark\nbackup,192.0.2.1 ${first} me@here\n`,
      'backup',
      [trusted(first)],
    ],
    ['a pattern', '', `back* ${first}\n`, 'backup', [trusted(first)]],
    ['a pattern that leaves it out', '', `back*,!backup ${first}\n`, 'backup', []],
    [
      'another port',
      'Host backup\n Port 2222',
      `backup ${second}\n[backup]:2222 ${first}\n`,
      'backup',
      [trusted(first)],
    ],
    [
      'an alias of the key',
      'Host backup\n Port 2222\n HostKeyAlias safe',
      `safe ${first}\n`,
      'backup',
      [trusted(first)],
    ],
    ['a name in capitals', '', `backup ${first}\n`, 'BACKUP', [trusted(first)]],
    [
      'a revoked key',
      '',
      `backup ${first}\n@revoked * ${second}\n`,
      'backup',
      [trusted(first), revoked(second)],
    ],
    [
      'the key of a certificate authority is none of its own',
      '',
      `@cert-authority * ${first}\n`,
      'backup',
      [],
    ],
    [
      'a line that makes no sense',
      '',
      `backup\n\n%%%\nbackup ${first}\n`,
      'backup',
      [trusted(first)],
    ],
  ];
  for (const [what, config, knownHosts, name, keys] of known) {
    test(`known hosts: ${what}`, async () => {
      configure(config, knownHosts);
      assert.deepEqual(await keysOf(name), keys);
    });
  }

  for (const [name, entry] of [
    ['backup', 'backup'],
    ['BACKUP', 'backup'],
    ['store', '[backup]:2222'],
  ] as const) {
    test(`known hosts: the hashed entry of ${entry} is found for ${name}`, async () => {
      configure('Host store\n Hostname backup\n Port 2222', `${entry} ${first}\nother ${second}\n`);
      assert.equal(spawnSync('ssh-keygen', ['-H', '-f', at('known')]).status, 0);
      assert.doesNotMatch(readFileSync(at('known'), 'utf8'), /backup|other/);
      assert.deepEqual(await keysOf(name), [trusted(first)]);
    });
  }
});

/** What SECURITY.md promises and a machine can look at: sources, the built addon, and a run's traces. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  canTrace,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';
import { scratchFolder } from '../helpers/scratch.js';
import { framedStream } from '../helpers/streams/stream-parts.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

describe('the sources', () => {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({
      name,
      text: withoutComments(readFileSync(join(ROOT, 'src', name), 'utf8')),
    }));
  const naming = (pattern: RegExp): string[] =>
    sources.filter(({ text }) => pattern.test(text)).map(({ name }) => name);

  test('start programs in two modules only, both with spawn and a list of words', () => {
    assert.ok(sources.length > 200);
    assert.deepEqual(naming(/^import (?!type ).*child_process/m).sort(), [
      'host/subprocess.ts',
      'remote/rsh.ts',
    ]);
    for (const { name, text } of sources) {
      const imports = text.matchAll(/import \{([^}]*)\} from 'node:child_process'/g);
      for (const [, names = ''] of imports) {
        const values = names.split(',').map((one) => one.trim());
        const called = values.filter((one) => one !== '' && !one.startsWith('type '));
        assert.deepEqual(called, ['spawn'], name);
      }
    }
  });

  test('use no shell, and nothing that makes code of text', () => {
    const forbidden = /\bshell\s*:|\beval\(|new Function\(|node:vm|\bprocess\.binding\(/;
    assert.deepEqual(naming(forbidden), []);
  });

  test('never tell ssh to trust a host that it does not know', () => {
    assert.deepEqual(naming(/StrictHostKeyChecking/i), []);
  });

  test('read nothing that the other end of an ssh connection may choose', () => {
    assert.deepEqual(naming(/SSH_ORIGINAL_COMMAND|SSH_CLIENT|SSH_CONNECTION/), []);
  });

  function withoutComments(text: string): string {
    return text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  }
});

describe('the package', () => {
  interface LockedPackage {
    readonly integrity?: string;
    readonly dev?: boolean;
    readonly optional?: boolean;
    readonly os?: readonly string[];
    readonly cpu?: readonly string[];
  }
  const read = (name: string) => JSON.parse(readFileSync(join(ROOT, name), 'utf8'));
  const manifest = read('package.json');
  const locked: [string, LockedPackage][] = Object.entries(read('package-lock.json').packages);

  test('runs nothing when it is installed', () => {
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
      assert.equal(manifest.scripts[name], undefined, name);
    }
    // Without this npm builds, and fetches what that needs, wherever it sees a binding.gyp.
    assert.equal(manifest.gypfile, false);
  });

  test('needs no other package to run, but where --compress or --transport ssh2 is asked for', () => {
    assert.equal(manifest.dependencies, undefined);
    assert.deepEqual(Object.keys(manifest.optionalDependencies), ['lz4-napi', 'ssh2']);
    const required = locked.filter(([path, { dev, optional }]) => path !== '' && !dev && !optional);
    assert.deepEqual(required, []);
  });

  test('names the checksum of every package that is installed here', () => {
    const fits = (wanted: readonly string[] | undefined, actual: string) =>
      wanted === undefined || wanted.includes(actual);
    const unchecked = locked.filter(
      ([path, { integrity, os, cpu }]) =>
        path !== '' &&
        integrity === undefined &&
        fits(os, process.platform) &&
        fits(cpu, process.arch) &&
        existsSync(join(ROOT, path)),
    );
    assert.deepEqual(unchecked, []);
  });

  test('is set up without running a script of any dependency', () => {
    const setup = readFileSync(join(ROOT, 'scripts/setup'), 'utf8');
    const commands = setup.match(/^\s*npm (ci|install)\b.*$/gm) ?? [];
    assert.ok(commands.length > 0);
    for (const command of commands) assert.match(command, /npm ci --ignore-scripts/);
  });
});

const missingTool = ['readelf', 'nm'].find((name) => spawnSync(name, ['--version']).error);
const skipAddon = missingTool === undefined ? false : `there is no ${missingTool} here`;

describe('the addon', { skip: skipAddon }, () => {
  const addon = join(ROOT, 'build/Release/lvmsync.node');
  let segments = '';
  let imports = '';
  before(() => {
    segments = runTool(['readelf', '-lWd', addon]).stdout.toString();
    imports = runTool(['nm', '-D', '--undefined-only', addon]).stdout.toString();
  });

  test('has its tables read-only and bound when it is loaded', () => {
    assert.match(segments, /^\s*GNU_RELRO /m);
    assert.match(segments, /\(FLAGS\).*BIND_NOW|\(BIND_NOW\)/);
  });

  test('has a stack that cannot be executed, and no segment that is both written and executed', () => {
    const [, flags] = /^\s*GNU_STACK(?:\s+0x\w+){5}\s+([RWE ]+?)\s+0x/m.exec(segments) ?? [];
    assert.equal(flags, 'RW');
    assert.doesNotMatch(segments, /^\s*LOAD .* RWE /m);
  });

  test('has its stack frames guarded, and checked forms of the C library calls', () => {
    assert.match(imports, /__stack_chk_fail/);
    assert.match(imports, /__\w+_chk@/);
  });

  test('loads libraries of the system only, from where the system has them', () => {
    assert.doesNotMatch(segments, /\((RPATH|RUNPATH)\)/);
    const libraries = [...segments.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name);
    for (const name of libraries) {
      assert.match(`${name}`, /^(libstdc\+\+|libgcc_s|libc|libm|ld-linux[-\w]*)\.so\.\d+$/);
    }
  });
});

describe('a run', { skip: canTrace() ? false : 'strace is not permitted here' }, () => {
  const folder = scratchFolder();
  const source = offlineSource(folder, { changedChunks: [1, 2, 200] });
  const elsewhere = join(folder, 'elsewhere');
  const destination = join(folder, 'destination');
  const snapback = join(folder, 'snapback');
  let calls: string[] = [];

  before(() => {
    // What a program might take its settings from.
    mkdirSync(elsewhere);
    for (const name of ['.lvmsyncrc', 'lvmsync.conf', 'lvmsync.json', '.npmrc', 'package.json']) {
      writeFileSync(join(elsewhere, name), '{}');
    }
    writeFileSync(destination, source.former);
    const trace = join(folder, 'trace');
    const watched = 'openat,open,creat,mkdir,mkdirat,readlink,statx,newfstatat,chmod,execve';
    const words = ['--snapback', snapback, destination];
    const script = `umask 0; cd '${elsewhere}'; exec "$@"`;
    const argv = ['strace', '-f', '-o', trace, '-e', `trace=?${watched.replaceAll(',', ',?')}`];
    const program = [process.execPath, CLI, ...source.words, ...words];
    assertSucceeds(runTool(['sh', '-c', script, 'sh', ...argv, ...program]));
    calls = readFileSync(trace, 'utf8').split('\n');
    assert.ok(calls.length > 20);
  });

  test('looks at nothing in the folder that it is started in', () => {
    const looked = calls.filter(
      (call) => call.includes(elsewhere) && !/execve\(|= -1 E/.test(call),
    );
    assert.deepEqual(looked, []);
    const relative = calls.filter((call) => /(openat|statx)\(AT_FDCWD, "[^/"]/.test(call));
    assert.deepEqual(relative, []);
  });

  test('makes what it makes for its owner alone, whatever the umask', () => {
    const made = calls.filter((call) => /O_CREAT|mkdir/.test(call));
    assert.ok(made.some((call) => call.includes(snapback)));
    for (const call of made) assert.match(call, /, 0600\)|, 0700\)/);
  });

  test('follows no link in the place of a snapback, and takes no file that is there', () => {
    const [made = ''] = calls.filter(
      (call) => call.includes(`"${snapback}"`) && /O_CREAT/.test(call),
    );
    assert.match(made, /O_EXCL/);
    assert.match(made, /O_NOFOLLOW/);
  });

  test('starts no other program where it works from files', () => {
    const programs = calls.filter((call) => call.includes('execve('));
    assert.equal(programs.length, 1, programs.join('\n'));
  });
});

describe('a name that would be a command', () => {
  const folder = scratchFolder();
  const source = offlineSource(folder, { changedChunks: [7] });

  const commands = [
    '$(touch PWNED)',
    '`touch PWNED`',
    ';touch PWNED;',
    '|touch PWNED',
    '\'";touch PWNED',
  ];
  for (const command of commands) {
    test(`is only a name: ${command}`, () => {
      const destination = join(folder, command);
      writeFileSync(destination, source.former);
      const snapback = join(folder, `back ${command}`);
      const ran = runInFolder([...source.words, '--snapback', snapback, destination]);
      assert.equal(ran.status, 0, ran.stderr);
      assert.ok(readFileSync(destination).equals(source.content));
      assertFails(runInFolder([`vg/${command}`, destination]), 1, /./);
      assertFails(runInFolder([`/dev/mapper/${command}`, destination]), 1, /./);
      assert.ok(!existsSync(join(folder, 'PWNED')));
      rmSync(destination);
    });
  }

  function runInFolder(words: readonly string[]) {
    const script = `cd '${folder}'; exec "$@"`;
    return runTool(['sh', '-c', script, 'sh', process.execPath, CLI, ...words]);
  }
});

describe('a receiver', () => {
  const fixture = new RemoteFixture();

  test('that a key is restricted to writes where it was told to, whatever the sender asks for', () => {
    const [allowed, wanted] = [fixture.copy(), fixture.copy()];
    const forced = `SSH_ORIGINAL_COMMAND=$line; export SSH_ORIGINAL_COMMAND
exec '${process.execPath}' '${CLI}' --apply - '${allowed}'`;
    const result = fixture.send(fixture.rsh(forced), wanted, '--snapback', fixture.path('undo'));
    assertSucceeds(result);
    assert.ok(fixture.isSynced(allowed));
    assert.ok(fixture.isUntouched(wanted));
    assert.ok(!existsSync(fixture.path('undo')), 'it makes no file that the sender names');
  });

  test('follows no path that a stream names', async () => {
    const [named, destination] = [fixture.copy(), fixture.copy()];
    const stream = fixture.path('stream');
    const groups = [[{ offset: 0, data: Buffer.alloc(4096, 'x') }]];
    const attributes = { devicePath: named, deviceIdentity: named };
    await framedStream(stream, { deviceSize: fixture.origin.length, groups, attributes });
    assertSucceeds(lvmsync(['--apply', stream, destination]));
    assert.ok(fixture.isUntouched(named));
    assert.ok(!fixture.isUntouched(destination));
  });
});

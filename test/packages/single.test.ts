/** The self-contained executable, where there is nothing else but the C and C++ libraries. */

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { VERSION } from '../../src/base/version.js';
import { POOL_WATCHER } from '../../src/host/helper-names.js';
import { enterRoot, noOtherRoot, runInRoot } from '../helpers/packages/clean-root.js';
import { LINKED, makePackage, missingTool, ROOT } from '../helpers/packages/packages.js';
import { assertFails, assertSucceeds, lvmsync, runTool } from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';
import { GoldenSync } from '../helpers/streams/golden-sync.js';

/** Of scripts/fetch-node. */
const LINE = `lvmsync ${VERSION} (Node.js ${nodeInside()})\n`;

function nodeInside(): string {
  const script = readFileSync(`${ROOT}scripts/fetch-node`, 'utf8');
  const pattern = new RegExp(`^ *${process.arch}\\)\\n *version=(24\\.\\d+\\.\\d+)$`, 'm');
  return pattern.exec(script)?.[1] ?? 'unknown';
}

const skip = missingTool('strip', 'ldd') || noOtherRoot();

describe('the self-contained executable, alone in its root', { skip }, () => {
  const folder = scratchFolder();
  const root = join(folder, 'root');
  const program = '/opt/lvmsync';
  const images = '/images';
  let sync: GoldenSync;

  before(() => {
    const executable = makePackage('single');
    for (const name of ['opt', 'images', 'tmp', 'run'])
      mkdirSync(join(root, name), { recursive: true });
    copyFileSync(executable, root + program);
    const lz4 = `${ROOT}node_modules/@antoniomuso/lz4-napi-linux-${process.arch}-gnu`;
    const addons = readdirSync(lz4).filter((name) => name.endsWith('.node'));
    const parts = [executable, ...addons.map((name) => join(lz4, name))];
    for (const library of parts.flatMap(librariesOf)) {
      mkdirSync(dirname(root + library), { recursive: true });
      copyFileSync(library, root + library);
    }
    sync = new GoldenSync(root + images);
  });

  function librariesOf(executable: string): string[] {
    const listed = runTool(['ldd', executable]).stdout.toString();
    return [...listed.matchAll(/(\/\S+\.so[.\d]*)/g)].map(([, path = '']) => path);
  }

  const run = (...words: string[]) => runInRoot(root, program, ...words);

  test('needs no library but those of C and C++', () => {
    for (const path of librariesOf(root + program)) {
      assert.match(
        path,
        /\/(libdl|libstdc\+\+|libm|libgcc_s|libpthread|libc|ld-linux[-\w]*)\.so\.\d$/,
      );
    }
  });

  test('says its version, and takes no option for one of Node', () => {
    assert.equal(run('--version').stdout.toString(), LINE);
    assertFails(run('--print', '1'), 1, /invalid option: --print/);
  });

  test('F27: holds a supported Node.js, which obeys nothing that is set for another one', () => {
    const foreign = {
      ...{ NODE_OPTIONS: '--require /absent.js', NODE_DEBUG: 'net,fs,module' },
      ...{ NODE_REDIRECT_WARNINGS: '/tmp/warnings', OPENSSL_CONF: '/absent' },
    };
    const runThere = (...words: string[]) =>
      runTool([...enterRoot(root), program, ...words], { env: { ...process.env, ...foreign } });
    const { stdout, stderr } = runThere('--version');
    assert.equal(stdout.toString(), LINE);
    assert.equal(stderr, '');
    const result = runThere('a b', "c'd", '--snapback=x');
    assertFails(result, 1, /^FATAL ERROR: .*a b/);
  });

  test('F28: has the licenses of all that is in it', () => {
    const text = run('--licenses').stdout.toString();
    const node = ['Node.js', 'V8', 'OpenSSL'];
    for (const name of [...LINKED, 'ssh2', 'tweetnacl', 'bcrypt-pbkdf', 'lz4-napi', ...node]) {
      assert.ok(text.includes(name), name);
    }
  });

  test('makes a copy equal to the origin of a genuine snapshot, and leaves nothing else behind', () => {
    sync.assertNotDone();
    assertSucceeds(run(...sync.source(images), sync.destination(images)));
    assert.ok(sync.isDone());
    assert.deepEqual(readdirSync(join(root, 'tmp')), []);
    assert.deepEqual(readdirSync(join(root, 'run')), ['lvmsync']);
  });

  test('compresses, and understands what is compressed', () => {
    const dump = run('--stdout', '--compress=lz4', ...sync.source(images));
    assertSucceeds(dump);
    sync = new GoldenSync(root + images);
    const words = ['--apply', '-', sync.destination(images)];
    assertSucceeds(runTool([...enterRoot(root), program, ...words], { input: dump.stdout }));
    assert.ok(sync.isDone());
  });

  test('is the remote side of a sync, told by nothing but its path', () => {
    sync = new GoldenSync(root + images);
    const rsh = join(folder, 'rsh');
    // In place of ssh: the words after the host, taken apart by a shell as on the other host.
    const enter = enterRoot(root)
      .map((word) => `'${word}'`)
      .join(' ');
    writeFileSync(
      rsh,
      `#!/bin/sh\nshift\neval "exec ${enter.replaceAll('"', '\\"').replaceAll('$', '\\$')} $*"\n`,
      { mode: 0o755 },
    );
    const destination = `host:${sync.destination(images)}`;
    const words = ['--rsh', rsh, '--remote-path', program, '--require-ack', '--compress'];
    assertSucceeds(lvmsync([...sync.source(), ...words, destination]));
    assert.ok(sync.isDone());
  });

  test('is lent to a host that has no lvmsync, and is gone from there after the run', () => {
    const [lender, temporary] = [new GoldenSync(folder), join(folder, 'temporary')];
    mkdirSync(temporary);
    const rsh = join(folder, 'rsh-lend');
    const body = `exec env PATH=/usr/bin:/bin TMPDIR='${temporary}' sh -c "$*"`;
    writeFileSync(rsh, `#!/bin/sh\nshift\n${body}\n`, { mode: 0o755 });
    const words = ['--rsh', rsh, '--remote-path', 'lvmsync-of-no-host', '--require-ack'];
    words.push('--push-helper', root + program, `host:${lender.destination()}`);
    assertSucceeds(lvmsync([...lender.source(), ...words]));
    assert.ok(lender.isDone());
    assert.deepEqual(readdirSync(temporary), []);
  });

  test('is the watcher of a pool when it is started as one', () => {
    const result = runTool([...enterRoot(root), program, POOL_WATCHER], { input: 'dismissed\n' });
    assertSucceeds(result);
    assert.equal(result.stdout.toString(), 'ready\n');
  });

  test('loads its native part from elsewhere where the temporary folder allows no programs', () => {
    const words = [program, ...sync.source(images), sync.destination(images)];
    const mount = `mount -t tmpfs -o noexec none "$1/tmp"; shift; exec "$@"`;
    const argv = [
      'unshare',
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-euc',
      mount,
      'sh',
      root,
    ];
    assertSucceeds(runTool([...argv, ...enterRoot(root), ...words]));
  });
});

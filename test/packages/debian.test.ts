/** The Debian package, installed and used in a Debian 12 that has its nodejs and no compiler. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { VERSION } from '../../src/base/version.js';
import { COMMAND_TABLE } from '../../src/cli/command-table.js';
import { noOtherRoot, runInRoot } from '../helpers/packages/clean-root.js';
import { LINKED, makePackage, missingTool, ROOT } from '../helpers/packages/packages.js';
import { assertSucceeds, runTool } from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';
import { GoldenSync } from '../helpers/streams/golden-sync.js';

const skip = missingTool('dpkg-deb');

describe('the Debian package', { skip }, () => {
  let archive = '';
  before(() => {
    archive = makePackage('deb');
  });

  const field = (name: string) =>
    runTool(['dpkg-deb', '-f', archive, name]).stdout.toString().trim();

  test('needs what Debian 12 has, and recommends what some runs need', () => {
    assert.match(field('Depends'), /^nodejs \(>= 18\.20\), lvm2, /);
    assert.equal(field('Recommends'), 'thin-provisioning-tools, openssh-client');
  });

  test('puts the program, its man page and the completions where they are looked for', () => {
    const listed = runTool(['dpkg-deb', '-c', archive]).stdout.toString();
    const held = listed.split('\n').map((line) => line.replace(/^.*? \.\//, ''));
    for (const path of [
      'usr/bin/lvmsync -> ../lib/lvmsync/dist/lvmsync.cjs',
      'usr/share/man/man8/lvmsync.8.gz',
      ...COMMAND_TABLE.map(({ name }) => `usr/share/man/man8/lvmsync-${name}.8.gz`),
      'usr/share/bash-completion/completions/lvmsync',
      'usr/share/zsh/vendor-completions/_lvmsync',
      'usr/share/fish/vendor_completions.d/lvmsync.fish',
      'usr/share/doc/lvmsync/copyright',
      'usr/share/doc/lvmsync/docs/format.md',
      'usr/lib/systemd/system/lvmsync-cycle@.service',
      'usr/lib/systemd/system/lvmsync-cycle@.timer',
    ]) {
      assert.ok(held.includes(path), path);
    }
    const foreign = listed
      .split('\n')
      .filter((line) => line !== '' && !line.includes(' root/root '));
    assert.deepEqual(foreign, []);
  });

  test('is the same, bit for bit, when it is made once more', () => {
    const first = readFileSync(archive);
    assert.ok(readFileSync(makePackage('deb')).equals(first));
  });

  test('is without a fault to lintian', { skip: missingTool('lintian') }, () => {
    // It closes no bug in Debian since it is not part of Debian.
    const options = ['--allow-root', '--suppress-tags', 'initial-upload-closes-no-bugs'];
    const { status, stdout } = runTool(['lintian', ...options, archive]);
    assert.deepEqual({ status, stdout: stdout.toString() }, { status: 0, stdout: '' });
  });
});

/** The archive of a Debian, or why there is none. */
function fetchDebian(): { readonly archive: string } | { readonly reason: string } {
  const reason = skip || noOtherRoot();
  if (reason !== false) return { reason };
  const { status, stdout, stderr } = runTool([`${ROOT}scripts/fetch-debian-root`]);
  return status === 0 ? { archive: stdout.toString().trim() } : { reason: stderr.trim() };
}

const debian = fetchDebian();

describe('in a Debian 12 without a compiler', {
  skip: 'reason' in debian ? debian.reason : false,
}, () => {
  const root = join(scratchFolder(), 'debian');
  const images = '/srv/images';

  before(() => {
    assert.ok('archive' in debian);
    mkdirSync(root);
    assertSucceeds(runTool(['tar', '-xf', debian.archive, '-C', root]));
    assertSucceeds(runTool(['cp', makePackage('deb'), join(root, 'lvmsync.deb')]));
    // It refuses where something that the package depends on is missing.
    assertSucceeds(runInRoot(root, 'dpkg', '--install', '/lvmsync.deb'));
    mkdirSync(join(root, images));
  });

  test('the package is all that was missing', () => {
    for (const tool of ['gcc', 'g++', 'make', 'npm'])
      assert.ok(!existsSync(join(root, 'usr/bin', tool)), tool);
    assertSucceeds(runInRoot(root, 'dpkg', '--verify', 'lvmsync'));
    assertSucceeds(runInRoot(root, 'apt-get', 'check', '-qq'));
  });

  test('it says its version', () => {
    const result = runInRoot(root, 'lvmsync', '--version');
    assert.match(result.stdout.toString(), /^lvmsync \S+ \(Node\.js \d+\.\d+\.\d+\)\n$/);
    assert.ok(result.stdout.toString().startsWith(`lvmsync ${VERSION} `));
  });

  test('F28: it has the licenses of all that is in it', () => {
    const text = runInRoot(root, 'lvmsync', '--licenses').stdout.toString();
    for (const name of [...LINKED, 'ssh2', 'lz4-napi']) assert.ok(text.includes(name), name);
  });

  test('it makes a copy equal to the origin of a genuine snapshot', () => {
    const sync = new GoldenSync(join(root, images));
    sync.assertNotDone();
    assertSucceeds(runInRoot(root, 'lvmsync', ...sync.source(images), sync.destination(images)));
    assert.ok(sync.isDone());
  });

  test('it compresses, and understands what is compressed', () => {
    const sync = new GoldenSync(join(root, images));
    const stream = `${images}/stream.lz4`;
    const words = ['lvmsync', '--stdout', '--compress=lz4', ...sync.source(images)];
    assertSucceeds(
      runInRoot(root, 'sh', '-c', 'to=$1; shift; exec "$@" >"$to"', 'sh', stream, ...words),
    );
    assertSucceeds(runInRoot(root, 'lvmsync', '--apply', stream, sync.destination(images)));
    assert.ok(sync.isDone());
  });

  test('it has the client that --transport ssh2 loads', () => {
    const script =
      'process.stdout.write(typeof require("/usr/lib/lvmsync/node_modules/ssh2").Client)';
    assert.equal(runInRoot(root, 'node', '-e', script).stdout.toString(), 'function');
  });
});

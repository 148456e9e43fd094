/** The npm package: what is in it, and that it works where there is no compiler and no script is run. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { VERSION_LINE } from '../../src/base/version.js';
import { COMMAND_TABLE } from '../../src/cli/command-table.js';
import { LINKED, makePackage, missingTool, ROOT } from '../helpers/packages/packages.js';
import {
  assertFails,
  assertSucceeds,
  type CliResult,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';
import { GoldenSync } from '../helpers/streams/golden-sync.js';

const NEWEST_GLIBC = 36;
const NEWEST_GLIBCXX = 30;

// Not in the project: Node would find the project's own packages from there.
const folder = scratchFolder('memory');
const program = join(folder, 'node_modules/.bin/lvmsync');
const addon = `prebuilds/linux-${process.arch}/lvmsync.node`;

function run(...words: string[]): CliResult {
  return runTool([program, ...words]);
}

describe('the npm package', () => {
  let archive = '';

  before(() => {
    archive = makePackage('npm');
    writeFileSync(join(folder, 'package.json'), '{}');
    const options = ['--ignore-scripts', '--omit=optional', '--offline', '--no-audit', '--no-fund'];
    assertSucceeds(runTool(['npm', 'install', '--prefix', folder, ...options, archive]));
  });

  test('holds the program, its addon, and what is there to be read, and nothing else', () => {
    const listed = runTool(['tar', '-tzf', archive]).stdout.toString();
    const held = listed
      .trim()
      .split('\n')
      .map((name) => name.replace(/^package\//, ''));
    const documents = readdirSync(join(ROOT, 'docs'), { recursive: true }).map(
      (name) => `docs/${name}`,
    );
    const expected = [
      'CHANGELOG.md',
      'CONTRIBUTING.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'dist/lvmsync.cjs',
      'dist/share/bash-completion/completions/lvmsync',
      'dist/share/fish/vendor_completions.d/lvmsync.fish',
      'dist/share/man/man8/lvmsync.8',
      ...COMMAND_TABLE.map(({ name }) => `dist/share/man/man8/lvmsync-${name}.8`),
      'dist/licenses.txt',
      'dist/share/zsh/vendor-completions/_lvmsync',
      'package.json',
      addon,
      ...documents.filter((name) => /\.\w+$/.test(name)),
    ];
    assert.deepEqual(held.sort(), expected.sort());
  });

  test('is installed without a script and without another package', () => {
    const installed = readdirSync(join(folder, 'node_modules')).filter(
      (name) => !name.startsWith('.'),
    );
    assert.deepEqual(installed, ['lvmsync']);
  });

  test('says its version', () => {
    assert.equal(run('--version').stdout.toString(), VERSION_LINE);
  });

  test('F29: has its man pages and its program linked where the shell and man look, by npm install -g', () => {
    const prefix = join(folder, 'prefix');
    const flags = [
      '--global',
      '--prefix',
      prefix,
      '--ignore-scripts',
      '--omit=optional',
      '--offline',
    ];
    assertSucceeds(runTool(['npm', 'install', ...flags, archive]));
    const pages = COMMAND_TABLE.map(({ name }) => `lvmsync-${name}.8`);
    assert.deepEqual(
      readdirSync(join(prefix, 'share/man/man8')).sort(),
      [...pages, 'lvmsync.8'].sort(),
    );
    const installed = runTool([join(prefix, 'bin/lvmsync'), '--version']);
    assert.equal(installed.stdout.toString(), VERSION_LINE);
  });

  test('F28: has the licenses of all that is in it', () => {
    const text = run('--licenses').stdout.toString();
    for (const name of LINKED) assert.ok(text.includes(name), name);
  });

  test('makes a copy equal to the origin of a genuine snapshot', () => {
    const sync = new GoldenSync(folder);
    sync.assertNotDone();
    assertSucceeds(run(...sync.source(), sync.destination()));
    assert.ok(sync.isDone());
  });

  test('says what to do where --compress is asked for and its package was left out', () => {
    const sync = new GoldenSync(folder);
    const result = run(...sync.source(), '--stdout', '--compress=lz4');
    assertFails(result, 1, /^FATAL ERROR: LZ4: the package lz4-napi cannot be loaded/);
    assert.match(result.stderr, /Install it with npm/);
  });

  test('does not tell a sender that it understands compression where that package was left out', () => {
    const sync = new GoldenSync(folder);
    const [rsh, answers] = [join(folder, 'rsh'), join(folder, 'answers')];
    writeFileSync(rsh, `#!/bin/sh\nshift\neval "$*" | tee '${answers}'\n`, { mode: 0o755 });
    const words = ['--rsh', rsh, '--remote-path', program, `host:${sync.destination()}`];
    assertSucceeds(lvmsync([...sync.source(), ...words]));
    assert.ok(sync.isDone());
    const [ready = ''] = readFileSync(answers, 'utf8').split('\n').filter(Boolean);
    assert.match(ready, /^lvmsync-ready 1 \w+ discard/);
    assert.doesNotMatch(ready, /lz4/);
  });

  test('says so where it has no addon for the machine', () => {
    const bare = join(folder, 'bare/dist');
    mkdirSync(bare, { recursive: true });
    runTool(['cp', join(folder, 'node_modules/lvmsync/dist/lvmsync.cjs'), bare]);
    const result = runTool([process.execPath, join(bare, 'lvmsync.cjs'), 'inspect', archive]);
    assertFails(result, 1, /^FATAL ERROR: the native addon for linux-\S+ is missing/);
    assert.match(result.stderr, /scripts\/setup builds one/);
  });

  test('has an addon that Debian 12 can load', { skip: missingTool('objdump') }, () => {
    const symbols = runTool([
      'objdump',
      '-T',
      join(folder, 'node_modules/lvmsync', addon),
    ]).stdout.toString();
    const newest = (pattern: RegExp) =>
      Math.max(...[...symbols.matchAll(pattern)].map(([, minor]) => Number(minor)));
    assert.ok(newest(/\(GLIBC_2\.(\d+)/g) <= NEWEST_GLIBC);
    assert.ok(newest(/\(GLIBCXX_3\.4\.(\d+)/g) <= NEWEST_GLIBCXX);
  });
});

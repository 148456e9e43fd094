import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VERSION_LINE } from '../../../src/base/version.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { loadAddon, OWN_PROGRAM } from '../../../src/host/addon.js';
import { POOL_WATCHER, THAW_WATCHER } from '../../../src/host/helper-names.js';
import { CLI } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';

const FORMS = {
  'one file': [process.execPath, CLI],
  modules: OWN_PROGRAM,
} as const;

for (const [form, [node, ...words]] of Object.entries(FORMS)) {
  describe(`the program as ${form}`, () => {
    const start = (given: readonly string[], input = '') =>
      spawnSync(node, [...words, ...given], { input, encoding: 'utf8' });

    test('says its version', () => {
      assert.equal(start(['--version']).stdout, VERSION_LINE);
    });

    test('finds its addon', () => {
      const { status, stderr } = start(['inspect', '/nowhere']);
      assert.equal(status, 1);
      assert.match(stderr, /^FATAL ERROR: \/nowhere: .*ENOENT/);
    });

    for (const [what, ...given] of [
      ['of a pool', POOL_WATCHER],
      ['of what is frozen', THAW_WATCHER, '/nowhere'],
    ] as const) {
      test(`is the watcher ${what} when it is started as one, and ends when it is dismissed`, () => {
        const { status, stdout, stderr } = start(given, 'dismissed\n');
        assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'ready\n', stderr: '' });
      });
    }

    test('thaws where it was not dismissed, and ends after that', () => {
      const thawed = join(scratchFolder(), 'thawed');
      const { status, stderr } = start([THAW_WATCHER, 'touch', thawed]);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      assert(existsSync(thawed));
    });
  });
}

describe('an installation', () => {
  test('has an addon with what the program uses', () => {
    const exported = Object.keys(loadAddon() as object);
    for (const name of ['allocateSlab', 'BlockFile', 'RecordReader'])
      assert(exported.includes(name));
  });

  test('holds no second copy of what is loaded only when a run asks for it', () => {
    const text = readFileSync(CLI, 'utf8');
    assert.match(text, /import\("ssh2"\)/);
    assert.match(text, /import\("lz4-napi"\)/);
    assert.doesNotMatch(text, new RegExp(fileURLToPath(new URL('../../../../', import.meta.url))));
  });

  test('is asked of one module only: no other knows where it is, since in one file it is elsewhere', () => {
    const folder = new URL('../../../../src/', import.meta.url);
    const asking = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
      (name) =>
        name.endsWith('.ts') &&
        /import\.meta|__filename|__dirname/.test(readFileSync(new URL(name, folder), 'utf8')),
    );
    assert.deepEqual(asking, ['host/addon.ts']);
  });

  test('understands no option that is called as a watcher is', () => {
    for (const word of [POOL_WATCHER, THAW_WATCHER]) {
      assert.throws(() => parseOptions([word]), /invalid option/, word);
    }
  });
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { POOL_WATCHER } from '../../src/hidden-words.js';
import { loadAddon, OWN_PROGRAM } from '../../src/installation.js';
import { parseOptions } from '../../src/option-grammar.js';
import { VERSION_LINE } from '../../src/version.js';
import { CLI } from '../helpers/cli.js';

const FORMS = {
  'one file': [process.execPath, CLI],
  modules: OWN_PROGRAM,
} as const;

for (const [form, [node, ...words]] of Object.entries(FORMS)) {
  describe(`the program as ${form}`, () => {
    const start = (given: readonly string[], input = '') =>
      spawnSync(node, [...words, ...given], { input, encoding: 'utf8' });

    it('says its version', () => {
      assert.equal(start(['--version']).stdout, VERSION_LINE);
    });

    it('finds its addon', () => {
      const { status, stderr } = start(['inspect', '/nowhere']);
      assert.equal(status, 1);
      assert.match(stderr, /^FATAL ERROR: \/nowhere: .*ENOENT/);
    });

    it('is the watcher of a pool when it is started as one, and ends when it is dismissed', () => {
      const { status, stdout, stderr } = start([POOL_WATCHER], 'dismissed\n');
      assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'ready\n', stderr: '' });
    });
  });
}

describe('an installation', () => {
  it('has an addon with what the program uses', () => {
    const exported = Object.keys(loadAddon() as object);
    for (const name of ['allocateSlab', 'BlockFile', 'RecordReader'])
      assert(exported.includes(name));
  });

  it('holds no second copy of what is loaded only when a run asks for it', () => {
    const text = readFileSync(CLI, 'utf8');
    assert.match(text, /import\("ssh2"\)/);
    assert.match(text, /import\("lz4-napi"\)/);
    assert.doesNotMatch(text, new RegExp(fileURLToPath(new URL('../../../', import.meta.url))));
  });

  it('is asked of one module only: no other knows where it is, since in one file it is elsewhere', () => {
    const folder = new URL('../../../src/', import.meta.url);
    const asking = readdirSync(folder).filter((name) =>
      /import\.meta|__filename|__dirname/.test(readFileSync(new URL(name, folder), 'utf8')),
    );
    assert.deepEqual(asking, ['installation.ts']);
  });

  it('understands no option that is called as the watcher is', () => {
    assert.throws(() => parseOptions([POOL_WATCHER]), /invalid option/);
  });
});

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { replaceDurably } from '../../../src/host/durable-file.js';
import { runTool } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';

const MODULE = new URL('../../../src/host/durable-file.js', import.meta.url).href;

/** Replaces it in a process of its own, which may make no file longer than half a KiB or one KiB. */
function replaceWithinLimit(path: string, text: string): string {
  const script = `
    import { replaceDurably } from ${JSON.stringify(MODULE)};
    try { replaceDurably(${JSON.stringify(path)}, ${JSON.stringify(text)}) }
    catch (error) { console.log(error.code) }`;
  const node = [process.execPath, '--input-type=module', '--eval', script];
  const { stdout, stderr } = runTool(['sh', '-c', 'ulimit -f 1 && exec "$@"', 'sh', ...node]);
  assert.equal(stderr, '');
  return stdout.toString().trim();
}

describe('a file that is replaced durably', () => {
  const folder = scratchFolder();
  const path = join(folder, 'file');

  test('keeps its former content where only a part of the new one has room', () => {
    writeFileSync(path, 'former');
    assert.equal(replaceWithinLimit(path, 'x'.repeat(5000)), 'EFBIG');
    assert.equal(readFileSync(path, 'utf8'), 'former');
    assert.deepEqual(readdirSync(folder), ['file'], 'no draft is left');
    assert.equal(replaceWithinLimit(path, 'fits'), '');
    assert.equal(readFileSync(path, 'utf8'), 'fits');
  });

  test('is for its owner only, unless another mode is asked for', () => {
    for (const [options, mode] of [
      [{}, 0o600],
      [{ mode: 0o644 }, 0o644],
    ] as const) {
      replaceDurably(path, 'x', options);
      assert.equal(statSync(path).mode & 0o7777, mode);
    }
  });

  test('may have its draft where its caller says', () => {
    const taken = `${path}.draft`;
    writeFileSync(taken, 'of another run');
    replaceDurably(path, 'mine', { draft: join(folder, 'other') });
    assert.equal(readFileSync(path, 'utf8'), 'mine');
    assert.equal(readFileSync(taken, 'utf8'), 'of another run');
    assert.deepEqual(readdirSync(folder), ['file', 'file.draft']);
  });
});

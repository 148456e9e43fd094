import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { inspectPath } from '../../../src/lvm/volume-name.js';
import { refusal } from '../../helpers/lvm/lvm-host.js';

describe('inspectPath', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lvmsync-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('tells what is there', async () => {
    await writeFile(join(folder, 'file'), '');
    symlinkSync('file', join(folder, 'link'));
    symlinkSync('nowhere', join(folder, 'dangling'));
    const kinds = [
      ['file', { kind: 'other', what: 'a regular file' }],
      ['link', { kind: 'other', what: 'a regular file' }],
      ['.', { kind: 'other', what: 'a directory' }],
      ['none', { kind: 'missing' }],
      ['dangling', { kind: 'missing' }],
      ['file/below', { kind: 'missing' }],
    ] as const;
    for (const [name, kind] of kinds) assert.deepEqual(await inspectPath(join(folder, name)), kind);
    const terminal = await inspectPath('/dev/null');
    assert.deepEqual(terminal, { kind: 'other', what: 'a special file' });
  });

  test('tells the number of a block device, however large', async (test) => {
    const numbers = ['8:1', '254:3', '259:70000', '4095:1048575'];
    for (const number of numbers) {
      const path = join(folder, number);
      try {
        execFileSync('mknod', [path, 'b', ...number.split(':')], { stdio: 'pipe' });
      } catch {
        test.skip('device nodes cannot be made here (needs root)');
        return;
      }
      const found = await inspectPath(path);
      assert.deepEqual([found.kind, found.kind === 'block' && found.number], ['block', number]);
    }
  });

  test('refuses a path it cannot follow with exit code 1', async () => {
    symlinkSync('loop', join(folder, 'loop'));
    const error = await refusal(inspectPath(join(folder, 'loop')));
    assert.equal(error.message, `${folder}/loop: cannot be looked up (ELOOP)`);
    assert.equal(error.exitStatus, 1);
  });
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { makeChainDirectory, readChain } from '../../../src/chain/directory.js';
import { scratchFolder } from '../../helpers/scratch.js';

const folder = scratchFolder();
const file = join(folder, 'file');
writeFileSync(file, '');

test('a directory of a chain whose parent is missing is refused with how to make that', () => {
  const parent = join(folder, 'no such', 'parent');
  assert.throws(() => makeChainDirectory(join(parent, 'chain')), {
    exitStatus: 16,
    message: `${parent}/chain: cannot be used for a chain (ENOENT)`,
    state: 'Nothing was written.',
    hint: `'${parent}' does not exist. Create it: mkdir -p '${parent}'`,
  });
});

test('a file is refused as the directory of a chain, or as a part of its path', async () => {
  for (const [path, hint] of [
    [file, /^Restore points need a directory: the one that /],
    [join(file, 'chain'), /^A part of .*file is a file: name another directory\.$/],
  ] as const) {
    await assert.rejects(readChain(path), (error) => {
      assert.ok(error instanceof LvmsyncError);
      assert.match(error.hint ?? '', hint);
      return error.exitStatus === 16;
    });
  }
});

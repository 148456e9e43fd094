/** F16: a place that is missing, read-only or full is left out for the next. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withScratchFolder } from '../../../src/host/scratch-folder.js';
import { CommandError } from '../../../src/host/subprocess.js';
import { scratchFolder } from '../../helpers/scratch.js';

describe('a folder for a small file', () => {
  const good = scratchFolder();

  test('is for us alone, and gone at the end', async () => {
    let seen = '';
    const result = await withScratchFolder(
      async (folder) => {
        seen = folder;
        writeFileSync(join(folder, 'x'), '');
        return statSync(folder).mode & 0o777;
      },
      [good],
    );
    assert.equal(result, 0o700);
    assert.ok(!existsSync(seen));
  });

  for (const [what, place] of [
    ['missing', '/no/such/place'],
    ['not to be written', '/proc'],
    ['a file', '/dev/null'],
  ] as const) {
    test(`is in the next place where one is ${what}`, async () => {
      assert.ok(
        (await withScratchFolder(async (folder) => folder, [place, good])).startsWith(good),
      );
    });
  }

  test('is in the next place where a tool finds one full', async () => {
    const full = scratchFolder();
    const stderr = '  /x/metadata: write failed: No space left on device';
    const used = await withScratchFolder(
      async (folder) => {
        if (!folder.startsWith(full)) return folder;
        throw new CommandError({
          argv: ['vgcfgbackup'],
          reason: 'exit status 5',
          status: 5,
          stderr,
        });
      },
      [full, good],
    );
    assert.ok(used.startsWith(good));
    assert.deepEqual(readdirSync(full), []);
  });

  test('is not looked for again where the tool fails for another reason', async () => {
    const failure = new CommandError({ argv: ['vgcfgbackup'], reason: 'exit status 5', status: 5 });
    let tries = 0;
    const work = (): Promise<never> => {
      tries++;
      return Promise.reject(failure);
    };
    await assert.rejects(withScratchFolder(work, [good, '/tmp']), failure);
    assert.equal(tries, 1);
  });

  test('names all places where none will do', async () => {
    await assert.rejects(
      withScratchFolder(async () => undefined, ['/no/such', '/proc']),
      {
        code: 'usage',
        message: /^no usable directory for a temporary file \(\/no\/such: ENOENT; \/proc: /,
        hint: /TMPDIR/,
      },
    );
  });
});

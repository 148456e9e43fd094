import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openLockDirectory } from '../../src/lock-directory.js';

const root = mkdtempSync(join(tmpdir(), 'lock-directory-'));
after(() => rmSync(root, { recursive: true }));

test('the directory is made on demand, for its owner alone, and found again', () => {
  const path = join(root, 'fresh');
  assert.equal(openLockDirectory([path]), path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.equal(openLockDirectory([path]), path);
});

test('where the first place cannot be used, the second is', () => {
  const second = join(root, 'second');
  assert.equal(openLockDirectory([join(root, 'no', 'parent'), second]), second);
});

const unfit: [string, RegExp, (path: string) => void][] = [
  ['a file', /not a directory/, (path) => writeFileSync(path, '')],
  ['a link to a directory', /not a directory/, (path) => symlinkSync(root, path)],
  [
    'a directory that others can write',
    /others may write/,
    (path) => {
      mkdirSync(path);
      chmodSync(path, 0o1777);
    },
  ],
];

for (const [what, message, make] of unfit) {
  test(`${what} in its place is refused`, () => {
    const path = join(root, what.replaceAll(' ', '-'));
    make(path);
    assert.throws(() => openLockDirectory([path]), { code: 'usage', message });
  });
}

test('a directory of another user is refused', () => {
  const path = process.getuid?.() === 0 ? join(root, 'foreign') : '/';
  if (path !== '/') {
    mkdirSync(path);
    chownSync(path, 1, 1);
  }
  assert.throws(() => openLockDirectory([path]), { code: 'usage', message: /belongs to user/ });
});

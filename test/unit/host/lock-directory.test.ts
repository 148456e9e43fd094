import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
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
import { findLockPlace, openLockDirectory } from '../../../src/host/lock-directory.js';

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

test('the place of it can be told without making it', () => {
  const path = join(root, 'not-yet');
  const nowhere = join(root, 'no', 'parent');
  assert.deepEqual(findLockPlace([nowhere, path]), { kind: 'found', path });
  assert.ok(!existsSync(path));
  const none = findLockPlace([nowhere]);
  assert.ok(none.kind === 'none');
  assert.match(none.faults[0] ?? '', /ENOENT/);
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
    const place = findLockPlace([path]);
    assert.ok(place.kind === 'none');
    assert.match(place.faults[0] ?? '', message);
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

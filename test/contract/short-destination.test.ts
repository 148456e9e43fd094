/**
 * A destination file that is shorter than the source was at the snapshot cannot be a copy of it: what is not
 * in the list of changes is not there.
 */

import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { assertFails, assertSucceeds, canTrace, lvmsync } from '../helpers/program/cli.js';
import { tracedLvmsync } from '../helpers/program/traced-cli.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';
import { framedStream } from '../helpers/streams/stream-parts.js';

const fixture = new RemoteFixture();
const SIZE = fixture.origin.length;
const REFUSED = /too short to be a copy: it has .* bytes\)?, the source had .* bytes/;

let count = 0;
function file(content: Buffer | string): string {
  const path = fixture.path(`short-${count++}`);
  writeFileSync(path, content);
  return path;
}

describe('F19, F49: a destination that is missing', () => {
  const rows: readonly [path: string, hint: RegExp][] = [
    [
      '/dev/no-such-vg/mail',
      // Without root LVM does not say which groups there are.
      /does not have a volume group no-such-vg: |create it with "lvcreate --size 1048576b --name mail no-such-vg", then copy/,
    ],
    [
      fixture.path('no-copy.img'),
      /create it with "truncate --size 1048576 .*, then copy the whole snapshot/,
    ],
  ];
  test('is not to be made where a snapback is to be applied', () => {
    const undo = fixture.path('undo-of-missing');
    assertSucceeds(lvmsync([...fixture.source, '--snapback', undo, fixture.copy()]));
    const result = lvmsync(['--apply', undo, fixture.path('no-copy.img')]);
    assertFails(result, 12, /ENOENT/);
    assert.match(result.stderr, /^Check its name\.$/m);
  });

  for (const [path, hint] of rows) {
    test(`is refused with how it is activated or made: ${path}`, () => {
      const here = lvmsync([...fixture.source, path]);
      assertFails(here, 12, /ENOENT|no such file/);
      assert.match(here.stderr, new RegExp(hint.source.replaceAll('1048576', `${SIZE}`)));
      assert.ok(!existsSync(path));
    });
  }
});

const SHORT: readonly [what: string, content: Buffer][] = [
  ['a text file', Buffer.from('hello\n')],
  ['half a copy', fixture.snapshot.subarray(0, SIZE / 2)],
  ['a copy without its last byte', fixture.snapshot.subarray(0, SIZE - 1)],
];

const rsh = ['-e', fixture.goodRsh().command];
const WAYS: readonly [way: string, words: (path: string) => string[]][] = [
  ['here', (path) => [path]],
  ['on another host', (path) => [...rsh, `backup:${path}`]],
  ['on another host, in two streams', (path) => [...rsh, '--streams=2', `backup:${path}`]],
];

for (const [way, to] of WAYS) {
  describe(`F3: a sync to a file ${way}`, () => {
    for (const [what, content] of SHORT) {
      test(`that is ${what} is refused, and left as it was`, () => {
        const path = file(content);
        const undo = fixture.path(`undo-${count++}`);
        const result = lvmsync([...fixture.source, '--snapback', undo, ...to(path)]);
        assertFails(result, 12, REFUSED);
        assert.match(result.stderr, /Nothing was written/);
        assert.match(result.stderr, /Make a full copy first/);
        assert.ok(readFileSync(path).equals(content));
        assert.ok(!existsSync(undo));
      });

      test(`that is ${what} is refused by a dry run, too`, () => {
        const path = file(content);
        assertFails(lvmsync(['--dry-run', ...fixture.source, ...to(path)]), 12, REFUSED);
        assert.ok(readFileSync(path).equals(content));
      });
    }
  });
}

for (const [way, to] of WAYS.slice(0, 2)) {
  describe(`F3: a verify of a file ${way}`, () => {
    test('that is too short says so', () => {
      const path = file(Buffer.from('hello\n'));
      assertFails(lvmsync(['verify', ...fixture.source, ...to(path)]), 12, REFUSED);
    });

    test('that is too short finds under --full how it differs, and can mend it', () => {
      const path = file(fixture.snapshot.subarray(0, SIZE / 2));
      const words = ['verify', '--full', ...fixture.source, ...to(path)];
      assert.equal(lvmsync(words).status, 4);
      assertSucceeds(lvmsync([...words, '--repair']));
      assert.ok(readFileSync(path).equals(fixture.origin));
    });

    test('says that it looked only at what changed', () => {
      const path = fixture.copy();
      assertSucceeds(lvmsync([...fixture.source, path]));
      const { stdout } = lvmsync(['verify', ...fixture.source, ...to(path)]);
      assert.match(
        stdout.toString(),
        / equals .* in the changed blocks: 284\.0 KiB compared; --full compares all .* MiB\n$/,
      );
      const full = lvmsync(['verify', '--full', ...fixture.source, ...to(path)]);
      assert.match(full.stdout.toString(), / equals [^:]*: [0-9.]+ MiB compared\n$/);
      const json = lvmsync(['verify', '--json', ...fixture.source, ...to(path)]);
      const report = JSON.parse(json.stdout.toString());
      assert.deepEqual([report.full, report.sourceBytes], [false, SIZE]);
    });
  });
}

describe('F3: a stored stream', () => {
  function dump(): string {
    const path = fixture.path(`stream-${count++}`);
    const fd = openSync(path, 'w');
    try {
      const result = lvmsync(['--stdout', ...fixture.source], { stdio: ['ignore', fd, 'pipe'] });
      assertSucceeds(result);
    } finally {
      closeSync(fd);
    }
    return path;
  }

  for (const dryRun of [[], ['--dry-run']]) {
    test(`is not applied to a file that is too short ${dryRun.join('')}`, () => {
      const path = file(fixture.snapshot.subarray(0, SIZE - 4096));
      assertFails(lvmsync([...dryRun, '--apply', dump(), path]), 12, REFUSED);
      assert.ok(readFileSync(path).equals(fixture.snapshot.subarray(0, SIZE - 4096)));
    });
  }

  test('of a source that grew makes a whole copy longer, and refuses a shorter one', async () => {
    const stream = fixture.path(`stream-${count++}`);
    const tail = { offset: 4096, data: Buffer.alloc(4096, 'b') };
    const attributes = { copySize: '4096' };
    await framedStream(stream, { deviceSize: 8192, attributes, groups: [[tail]] });
    const former = Buffer.alloc(4096, 'a');
    const copy = file(former);
    const undo = fixture.path(`undo-${count++}`);
    assertSucceeds(lvmsync(['--apply', stream, '--snapback', undo, copy]));
    assert.ok(readFileSync(copy).equals(Buffer.concat([former, tail.data])));
    for (const _ of ['once', 'twice']) {
      assertSucceeds(lvmsync(['--apply', undo, copy]));
      assert.ok(readFileSync(copy).equals(former), 'it has its former size again');
    }
    const shorter = file(Buffer.alloc(4095, 'a'));
    assertFails(lvmsync(['--apply', stream, shorter]), 12, REFUSED);
  });

  test('of a source that grew is undone, too, where nothing but the file was made longer', {
    skip: canTrace() ? false : 'strace is not permitted here',
  }, async () => {
    const stream = fixture.path(`stream-${count++}`);
    const tail = { offset: 4096, data: Buffer.alloc(4096, 'b') };
    await framedStream(stream, { deviceSize: 8192, groups: [[tail]] });
    const former = Buffer.alloc(4096, 'a');
    const inject = 'ftruncate:signal=TERM';
    // On a busy machine the run may be done before it takes notice of the signal.
    for (let attempt = 0; ; attempt++) {
      const copy = file(former);
      const undo = fixture.path(`undo-${count++}`);
      const words = ['--apply', stream, '--snapback', undo, copy];
      const tracing = { paths: [copy], calls: ['ftruncate'], output: `${undo}.trace` };
      const result = await tracedLvmsync(words, { ...tracing, inject });
      if (result.status === 0 && attempt < 20) continue;
      assertFails(result, 143, /interrupted/);
      assert.equal(readFileSync(copy).length, 8192);
      assertSucceeds(lvmsync(['--apply', undo, copy]));
      assert.ok(readFileSync(copy).equals(former));
      break;
    }
  });

  test('of a sender that does not tell makes the file longer, as it always did', async () => {
    const stream = fixture.path(`stream-${count++}`);
    const group = [{ offset: 4096, data: Buffer.alloc(4096, 'b') }];
    await framedStream(stream, { deviceSize: 8192, groups: [group] });
    const path = file('hello\n');
    assertSucceeds(lvmsync(['--apply', stream, path]));
    assert.equal(readFileSync(path).length, 8192);
  });
});

describe('F3: a snapback', () => {
  test('is not applied to a file that is shorter than its run found it', () => {
    const undo = fixture.path(`undo-${count++}`);
    assertSucceeds(lvmsync([...fixture.source, '--snapback', undo, fixture.copy()]));
    const path = file('hello\n');
    // Without --force already its name says that it is another file.
    const words = ['--force', '--apply', undo, path];
    const refused = /too short: it has 6 bytes, but had .*\(\d+ bytes\) when the snapback was made/;
    assertFails(lvmsync(words), 12, refused);
    assertFails(lvmsync(['--dry-run', ...words]), 12, refused);
    assert.equal(readFileSync(path, 'utf8'), 'hello\n');
  });
});

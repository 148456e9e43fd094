/** `lvmsync bench` with a file, and with another host for which a script stands. How fast is not judged. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { assertFails, assertSucceeds, type CliResult, lvmsync } from '../helpers/program/cli.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const fixture = new RemoteFixture();
const rsh = fixture.goodRsh().command;

type Row = Readonly<Record<string, unknown>>;

function rowsOf(result: CliResult): Row[] {
  assertSucceeds(result);
  const lines = result.stdout.toString().trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line));
}

function bench(...words: string[]): CliResult {
  return lvmsync(['bench', '--json', ...words]);
}

describe('bench', () => {
  test('measures reads of each size and order, LZ4 of the real data, and hashing; writes nothing', () => {
    const path = fixture.copy();
    const before = readdirSync(fixture.folder);
    const rows = rowsOf(bench(path));
    const reads = rows.filter(({ what }) => what === 'read');
    assert.deepEqual(
      reads.map(({ order, requestSize }) => `${order} ${requestSize}`),
      ['sequential', 'random'].flatMap((order) =>
        [4096, 65536, 1048576].map((size) => `${order} ${size}`),
      ),
    );
    assert.deepEqual(
      rows.slice(reads.length).map(({ what }) => what),
      ['lz4', 'hash', 'advice'],
    );
    for (const { bytesPerSecond } of rows.slice(0, -1)) assert.ok(Number(bytesPerSecond) > 0);
    assert.ok(fixture.isUntouched(path));
    assert.deepEqual(readdirSync(fixture.folder), before);
  });

  test('measures a scratch file, which is gone afterwards, and leaves one that is there alone', () => {
    const scratch = fixture.path('scratch');
    const writes = rowsOf(bench('--scratch', scratch)).filter(({ what }) => what === 'write');
    assert.deepEqual(
      writes.map(({ order }) => order),
      ['sequential', 'random'],
    );
    assert.ok(!existsSync(scratch));
    writeFileSync(scratch, 'mine');
    assertFails(bench('--scratch', scratch), 12, /scratch: it already exists/);
    assert.equal(readFileSync(scratch, 'utf8'), 'mine');
    assertFails(bench('--scratch', fixture.path('no/folder')), 12, /ENOENT/);
  });

  test('refuses a source that is not there', () => {
    assert.notEqual(bench(fixture.path('nothing')).status, 0);
  });
});

describe('bench with another host', () => {
  test('measures the link with one stream and with several, and the disk there', () => {
    const scratch = fixture.path('scratch there');
    const words = ['-e', rsh, '--streams', '3', '--scratch', scratch, 'backup:'];
    const rows = rowsOf(bench(...words));
    const links = rows.filter(({ what }) => what === 'link');
    assert.deepEqual(
      links.map(({ streams }) => streams),
      [1, 3],
    );
    const there = rows.filter(({ host }) => host === 'backup').map(({ what }) => what);
    assert.deepEqual(there, ['hash', 'write', 'write']);
    assert.ok(!existsSync(scratch));
    assert.match(String(rows.at(-1)?.text), /bottleneck/);
    for (const { lowest, highest } of links) assert.ok(Number(lowest) <= Number(highest));
  });

  test('sends what is measured to nothing but cat', () => {
    const rsh = fixture.rsh('exec sh -c "$line"');
    assertSucceeds(bench('-e', rsh.command, '--streams', '1', 'backup:'));
    const argv = readFileSync(rsh.argvFile, 'utf8').trimEnd().split('\n');
    assert.equal(
      argv.at(-1),
      'echo; echo lvmsync-bench-ready; cat >/dev/null; echo lvmsync-bench-done',
    );
  });

  const failures: readonly [what: string, script: string, message: RegExp][] = [
    ['cannot be reached', 'echo "ssh: no" >&2; exit 255', /could not be reached.*ssh: no/],
    ['ends at once', 'exit 0', /ended without|ended too early/],
    ['breaks off', 'echo lvmsync-bench-ready; head -c 1000000 >/dev/null; exit 3', /status 3/],
    ['says nothing', 'exec sleep 600', /no answer for 1 s/],
  ];
  for (const [what, script, message] of failures) {
    test(`ends with 17 where it ${what}`, () => {
      const { command } = fixture.rsh(script);
      assertFails(bench('-e', command, '--timeout', '1', 'backup:'), 17, message);
    });
  }

  test('ends with 17 where the lvmsync there has no bench, and says so', () => {
    const there = 'case "$line" in *lvmsync*bench*--json*) echo old >&2; exit 1 ;; esac';
    const { command } = fixture.rsh(`${there}\nexec sh -c "$line"`);
    const words = ['-e', command, '--streams', '1', '--scratch', fixture.path('s'), 'backup:'];
    const result = bench(...words);
    assertFails(result, 17, /its disk was not measured \(its output: old\)/);
    assert.match(result.stderr, /needs an lvmsync with bench, and FILE must not exist yet\.$/m);
  });
});

/** A source that is written while a run reads it: a warning, or under --require-quiet a failure. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, test } from 'node:test';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import type { FakeRsh } from '../helpers/remote/fake-rsh.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const fixture = new RemoteFixture();
const ORIGIN = fixture.path('origin.img');
const MIXTURE = /origin\.img: it was written while it was read, so the copy may be inconsistent/;
const WARNING = new RegExp(`^WARNING: .*${MIXTURE.source}`, 'm');
/** Writes to the source what it holds already: what is sent stays the same. */
const writeTo = (path: string) =>
  `sleep 0.02; head -c 4096 '${path}' > '${path}.head'; dd if='${path}.head' of='${path}' conv=notrunc status=none`;
const WRITE = writeTo(ORIGIN);
const big = offlineSource(fixture.folder, {
  chunkSize: 65536,
  size: 4 * 1024 * 1024,
  changedChunks: Array.from({ length: 64 }, (_, chunk) => chunk),
});

/** Runs `lvmsync WORDS | { what comes first; SCRIPT }`; its status is that of lvmsync. */
function piped(words: readonly string[], script: string): CliResult {
  const argv = [process.execPath, CLI, ...words].map((word) => `'${word}'`).join(' ');
  return runTool(['bash', '-c', `${argv} | { ${script}; }; exit "\${PIPESTATUS[0]}"`]);
}

const dumped = fixture.path('dumped');
/** A reader of more than a pipe holds: it has begun when the source is written, and goes on after that. */
const begun = (write: string, output: string) =>
  `head -c 17 > '${output}'; ${write}; cat >> '${output}'`;

describe('a source that nobody writes', () => {
  for (const options of [[], ['--require-quiet']]) {
    const title = options.join('') || 'no option';
    test(`is no news (${title}): to a file, to standard output, to another host`, () => {
      const [local, far] = [fixture.copy(), fixture.copy()];
      const runs = [
        lvmsync([...fixture.source, ...options, local]),
        piped([...fixture.source, ...options, '--stdout'], begun(':', dumped)),
        fixture.send(fixture.goodRsh(), far, ...options),
      ];
      for (const run of runs) {
        assertSucceeds(run);
        assert.doesNotMatch(run.stderr, /WARNING/);
      }
      assert.ok(fixture.isSynced(local) && fixture.isSynced(far));
      const applied = lvmsync(['--apply', dumped, fixture.copy()]);
      assertSucceeds(applied);
      assert.doesNotMatch(applied.stderr, /WARNING/);
    });
  }
});

describe('a source that is written while it is read', () => {
  let copy = '';
  beforeEach(() => {
    copy = fixture.copy();
  });

  /** To a local file; the snapback goes through a fifo, whose reader stops the run while it writes. */
  function local(...options: string[]): CliResult {
    const fifo = fixture.path('fifo');
    const words = [...fixture.source, ...options, '--snapback', fifo, copy];
    const argv = [process.execPath, CLI, ...words].map((word) => `'${word}'`).join(' ');
    const reader = `{ ${begun(WRITE, fixture.path('undo'))}; } < '${fifo}' & ${argv}; status=$?; wait`;
    return runTool(['bash', '-c', `rm -f '${fifo}'; mkfifo '${fifo}'; ${reader}; exit $status`]);
  }

  test('is warned of by a local run, which ends with 0', () => {
    const result = local();
    assertSucceeds(result);
    assert.match(result.stderr, WARNING);
    assert.ok(fixture.isSynced(copy));
    const undo = lvmsync(['--apply', fixture.path('undo'), copy]);
    assertSucceeds(undo);
    assert.doesNotMatch(undo.stderr, /WARNING/, 'what was saved is no mixture');
    assert.ok(fixture.isUntouched(copy));
  });

  test('ends a local run that requires quiet with 10, when all is written and can be undone', () => {
    const result = local('--require-quiet');
    assertFails(result, 10, MIXTURE);
    assert.match(result.stderr, /was written completely, but may be inconsistent\.$/m);
    assert.match(result.stderr, /undo this run with: lvmsync --apply .*fifo/);
    assert.ok(fixture.isSynced(copy));
    assertSucceeds(lvmsync(['--apply', fixture.path('undo'), copy]));
    assert.ok(fixture.isUntouched(copy));
  });

  test('is warned of at the end of a stream, by the sender and by who applies it', () => {
    const result = piped([...fixture.source, '--stdout'], begun(WRITE, dumped));
    assertSucceeds(result);
    assert.match(result.stderr, WARNING);
    const applied = lvmsync(['--apply', dumped, copy]);
    assertSucceeds(applied);
    assert.match(applied.stderr, /^WARNING: .*dumped: its source was written while it was read/m);
    assert.ok(fixture.isSynced(copy));
  });

  test('leaves a stream without an end where quiet is required: 10 here, and where it is applied', () => {
    const result = piped([...fixture.source, '--stdout', '--require-quiet'], begun(WRITE, dumped));
    assertFails(result, 10, MIXTURE);
    const applied = lvmsync(['--apply', dumped, copy]);
    assertFails(applied, 10, /the sender gave up: .*written while it was read/);
    assert.doesNotMatch(applied.stderr, /^Transferred/m);
  });

  /** To another host, from a source that no pipe holds as a whole. */
  function far(rsh: FakeRsh, ...options: string[]): CliResult {
    writeFileSync(copy, big.former);
    return lvmsync([...big.words, '-e', rsh.command, ...options, `backup:${copy}`]);
  }

  test('is warned of by a run to another host, there too', () => {
    const result = far(fixture.rsh(`${writeTo(big.data)}; exec sh -c "$line"`));
    assertSucceeds(result);
    assert.match(result.stderr, /^WARNING: .*data\.img: it was written while it was read/m);
    assert.match(result.stderr, /^remote:WARNING: .*its source was written while it was read/m);
    assert.ok(readFileSync(copy).equals(big.content));
  });

  test('ends a run to another host that requires quiet with 10, and the receiver with 10', () => {
    const status = fixture.path('status');
    const receiver = `sh -c "$line"; s=$?; echo $s > '${status}'; exit $s`;
    const rsh = fixture.rsh(`${writeTo(big.data)}; ${receiver}`);
    const result = far(rsh, '--require-quiet');
    assertFails(result, 10, /data\.img: it was written while it was read/);
    assert.match(result.stderr, /backup:.* may be incomplete\./);
    assert.equal(readFileSync(status, 'utf8'), '10\n');
  });

  test('is warned of where the stream cannot say it', () => {
    const classic = ['--stdout', '--format', 'classic'];
    const result = piped([...fixture.source, ...classic], begun(WRITE, dumped));
    assertSucceeds(result);
    assert.match(result.stderr, WARNING);
    const strict = piped([...fixture.source, ...classic, '--require-quiet'], begun(WRITE, dumped));
    assertFails(strict, 10, MIXTURE);
  });

  test('that the run does not read matters to nobody', () => {
    const other = fixture.path('other');
    writeFileSync(other, big.content);
    assertSucceeds(far(fixture.rsh(`${writeTo(other)}; exec sh -c "$line"`), '--require-quiet'));
  });
});

/** What the program says: to a person at a terminal, to a log, to another program, to Prometheus. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  assertFails,
  assertSucceeds,
  CLI,
  lvmsync,
  runTool,
  startLvmsync,
} from '../helpers/program/cli.js';
import { type MessageObject, messagesOf } from '../helpers/program/message-document.js';
import { onlyValue, parsePrometheus } from '../helpers/program/prometheus.js';
import { lvmsyncOnTerminal, noTerminal } from '../helpers/program/terminal.js';
import { loginShell } from '../helpers/remote/fake-rsh.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const ERASE = '\r\x1b[2K';
const fixture = new RemoteFixture();
/** Of the changes in the fixture. */
const CHANGED = 284 * 1024;

/** The last one, which tells how the run ended; there is no other one of its kind. */
function endOf(messages: readonly MessageObject[]): MessageObject {
  const ends = messages.filter(({ type }) => type === 'result' || type === 'fatal');
  assert.equal(ends.length, 1);
  assert.equal(ends[0], messages.at(-1));
  return ends[0]!;
}

/** What the line that rewrites itself was, one after another. */
function linesDrawn(screen: string): string[] {
  const pieces = screen.split(ERASE).slice(1);
  return pieces.filter((piece) => piece.startsWith('Sending ') && !piece.includes('\n'));
}

describe('on a terminal', { skip: noTerminal }, () => {
  const columns = 70;
  const slow = ['--bwlimit', '200K', ...fixture.source];
  const started = performance.now();
  const { status, screen } = noTerminal
    ? { status: 0, screen: '' }
    : lvmsyncOnTerminal([...slow, fixture.copy()], columns);
  const seconds = (performance.now() - started) / 1000;
  const drawn = linesDrawn(screen);

  test('a run redraws one line, at most five times a second', () => {
    assert.equal(status, 0, screen);
    assert.ok(drawn.length > 1, screen);
    assert.ok(drawn.length <= 1 + 5 * seconds, `${drawn.length} times in ${seconds} seconds`);
    for (const line of drawn) assert.match(line, /^Sending .* of 284\.0 KiB \(\d+\.\d%\)/);
    assert.match(drawn.at(-1) ?? '', /KiB\/s, \d+:\d\d left$/);
  });

  test('no line reaches its last column', () => {
    for (const line of drawn) assert.ok(line.length < columns, line);
  });

  test('F24: the line is gone when the last one comes, which says what was moved and how fast', () => {
    const [line, ...rest] = screen.slice(screen.lastIndexOf(ERASE) + ERASE.length).split('\r\n');
    const expected = /^Transferred 284\.0 KiB of 16\.0 MiB \(1\.7%\) in \d+\.\d s, \d+\.\d KiB\/s$/;
    assert.match(line ?? '', expected);
    assert.deepEqual(rest, ['']);
  });

  test('F23: an answer on standard output has a line of its own', () => {
    const words = ['verify', '--bwlimit', '200K', ...fixture.source, fixture.copy()];
    const { screen: seen } = lvmsyncOnTerminal(words, columns);
    const lines = seen.split('\r\n');
    const answer = lines.find((one) => one.includes('differs from')) ?? assert.fail(seen);
    assert.ok(answer.includes(ERASE), answer);
    assert.ok(
      !answer.slice(answer.lastIndexOf(ERASE) + ERASE.length).includes('Comparing'),
      answer,
    );
  });

  test('a narrow one gets as much as fits', () => {
    const narrow = lvmsyncOnTerminal([...fixture.source, fixture.copy()], 20);
    assert.equal(narrow.status, 0);
    const [line = ''] = linesDrawn(narrow.screen);
    assert.match(line, /^Sending \d/);
    assert.ok(line.length <= 19, line);
  });

  test('a receiver draws its progress unless a sender, which tells of it, has started it', () => {
    const wire = fixture.path('wire');
    const tapped = fixture.rsh(`tee ${wire} | ${loginShell().replace('exec ', '')}`);
    assertSucceeds(fixture.send(tapped, fixture.copy()));
    const file = fixture.path('stream');
    writeFileSync(file, lvmsync(['--stdout', ...fixture.source]).stdout);
    for (const [input, drawsIt] of [
      [file, true],
      [wire, false],
    ] as const) {
      const run = lvmsyncOnTerminal(['--apply', '-', fixture.copy()], columns, input);
      assert.equal(run.status, 0, run.screen);
      assert.equal(run.screen.includes('Applying '), drawsIt, run.screen);
    }
  });

  test('nothing is drawn under -q, nor with --json', () => {
    const words = [...fixture.source, fixture.copy()];
    assert.deepEqual(lvmsyncOnTerminal(['-q', ...words], 80), { status: 0, screen: '' });
    const { screen: said } = lvmsyncOnTerminal(['--json', ...words], 80);
    assert.equal(endOf(messagesOf(said.replaceAll('\r\n', '\n'))).exitStatus, 0);
  });
});

describe('in a log', () => {
  test('a short run says the two lines and nothing else', () => {
    const result = lvmsync([...fixture.source, fixture.copy()]);
    assertSucceeds(result);
    assert.match(
      result.stderr,
      /^Transferred 290816 bytes in \d+\.\d\d seconds\nYou transferred .* full dd!\n$/,
    );
  });

  test('a quiet run says nothing', () => {
    const result = lvmsync(['-q', ...fixture.source, fixture.copy()]);
    assertSucceeds(result);
    assert.equal(result.stderr, '');
  });
});

describe('--json', () => {
  const dumped = lvmsync(['--json', '--stdout', ...fixture.source]);
  const remote = ['--json', ...fixture.source, '-e', fixture.goodRsh().command];
  const moved = { bytes: CHANGED, transferredBytes: CHANGED };

  test('tells of a local sync', () => {
    const result = lvmsync(['--json', ...fixture.source, fixture.copy()]);
    assertSucceeds(result);
    const messages = messagesOf(result.stderr);
    assert.equal(messages[0]?.type, 'progress');
    const end = endOf(messages);
    assert.deepEqual({ ...end, ...moved, command: 'sync', exitStatus: 0 }, end);
    assert.equal(end.sourceBytes, fixture.origin.length);
  });

  test('tells of a sync to another host, and what was said there', () => {
    const path = fixture.copy();
    const rsh = fixture.rsh(`echo 'a \x1b[2J greeting' >&2\n${loginShell()}`);
    const words = [
      '--json',
      ...fixture.source,
      '-e',
      rsh.command,
      '--bwlimit',
      '20K',
      `backup:${path}`,
    ];
    const result = lvmsync(['--compress=lz4', ...words]);
    assertSucceeds(result);
    const messages = messagesOf(result.stderr);
    const end = endOf(messages);
    assert.deepEqual({ ...end, ...moved, exitStatus: 0 }, end);
    const said = messages.filter(({ type }) => type === 'remote').map(({ message }) => message);
    assert.deepEqual(said, ['a \x1b[2J greeting']);
    const ratios = messages.flatMap(({ compressionRatio }) => compressionRatio ?? []);
    assert.ok(ratios.length > 0 && ratios.every((ratio) => Number(ratio) > 1), result.stderr);
  });

  test('leaves the change stream of a dump as it is', () => {
    assertSucceeds(dumped);
    assert.equal(endOf(messagesOf(dumped.stderr)).command, 'dump');
    const path = fixture.copy();
    const applied = lvmsync(['--json', '--apply', '-', path], { input: dumped.stdout });
    assertSucceeds(applied);
    assert.ok(fixture.isSynced(path));
    const end = endOf(messagesOf(applied.stderr));
    assert.deepEqual({ ...end, ...moved, command: 'apply' }, end);
  });

  test('tells of a verify on standard error, and its answer on standard output', () => {
    const path = fixture.copy();
    const result = lvmsync([...remote.slice(0, 1), 'verify', ...remote.slice(1), path]);
    assert.equal(result.status, 4);
    assert.equal(JSON.parse(result.stdout.toString()).equal, false);
    const end = endOf(messagesOf(result.stderr));
    assert.deepEqual({ ...end, exitStatus: 4, bytes: CHANGED, transferredBytes: null }, end);
  });

  const failures: readonly [title: string, words: string[], status: number, name: string][] = [
    ['what cannot be understood', ['--json', '--bogus'], 1, 'usage'],
    ['options that clash', ['--redo', '--json', 'a', 'b'], 1, 'usage'],
    ['a destination that is missing', [...remote, 'backup:/nowhere/x'], 12, 'destinationUnfit'],
    [
      'a stream that is none',
      ['--json', '--apply', thisFile(), fixture.copy()],
      15,
      'streamCorrupt',
    ],
  ];
  for (const [title, words, status, name] of failures) {
    test(`tells of ${title} as an object with its status, also under -q`, () => {
      for (const quiet of [[], ['-q']]) {
        const result = lvmsync([...words, ...quiet]);
        const end = endOf(messagesOf(result.stderr));
        assert.equal(end.type, 'fatal');
        assert.equal(result.status, end.exitStatus);
        assert.equal(end.name, name);
        assert.equal(end.exitStatus, status);
      }
    });
  }

  test('has the next step that a receiver says, as has the last message of a quiet run', () => {
    const step = 'On backup: The directory /nowhere does not exist: check the path.';
    const words = [...remote.slice(1), 'backup:/nowhere/x'];
    for (const more of [[], ['-q'], ['--dry-run']]) {
      const end = endOf(messagesOf(lvmsync(['--json', ...more, ...words]).stderr));
      assert.equal(end.state, 'Nothing was written there.');
      assert.ok(String(end.hint).startsWith(step), String(end.hint));
    }
    const { stderr } = lvmsync(['-q', ...words]);
    assert.match(stderr, /^FATAL ERROR: backup: .*\nNothing was written there\.\nOn backup: The/);
    // A person has read it.
    assert.equal(lvmsync(words).stderr.match(/does not exist: check/g)?.length, 1);
  });

  test('of a quiet run that succeeds says nothing', () => {
    const result = lvmsync(['--json', '-q', ...fixture.source, fixture.copy()]);
    assertSucceeds(result);
    assert.equal(result.stderr, '');
  });

  test('of inspect and chain is their answer only: they fail in text', () => {
    for (const words of [
      ['inspect', '/nowhere'],
      ['chain', thisFile()],
    ]) {
      const result = lvmsync(['--json', ...words]);
      assert.equal(result.stdout.length, 0);
      assert.match(result.stderr, /^FATAL ERROR: /);
    }
  });
});

describe('--metrics', () => {
  const path = fixture.path('lvmsync.prom');
  const text = (): string => readFileSync(path, 'utf8');
  const value = (name: string): number | undefined => onlyValue(text(), `lvmsync_${name}`);

  test('keep what good and bad runs of a job did', () => {
    const copy = fixture.copy();
    const job = ['--metrics', path, ...fixture.source, copy];
    const before = Date.now() / 1000;
    assertSucceeds(lvmsync(job));
    const success = value('last_success_timestamp_seconds') ?? 0;
    assert.ok(success >= before - 0.001 && success <= Date.now() / 1000 + 0.001);
    assert.equal(success, value('last_end_timestamp_seconds'));
    assert.deepEqual([value('last_run_bytes'), value('last_run_exit_status')], [CHANGED, 0]);
    rmSync(copy);
    mkdirSync(copy);
    const failed = lvmsync(job);
    assertFails(failed, 12, /cannot open: it is a directory \(EISDIR\)/);
    assert.match(failed.stderr, /\nNothing was written\.\nName a block device or a regular file/);
    assert.equal(value('last_run_exit_status'), 12);
    assert.equal(value('last_success_timestamp_seconds'), success);
    assert.ok((value('last_end_timestamp_seconds') ?? 0) > success);
    assert.deepEqual([value('runs_total'), value('failures_total')], [2, 1]);
    assert.equal(value('bytes_total'), CHANGED);
  });

  const dump = lvmsync(['--stdout', ...fixture.source]).stdout;
  const changes = fixture.path('changes');
  writeFileSync(changes, dump);
  const kinds: readonly [command: string, words: string[], status: number, bytes: number][] = [
    ['dump', ['--stdout', ...fixture.source], 0, CHANGED],
    ['apply', ['--apply', changes, fixture.copy()], 0, CHANGED],
    ['apply', ['--apply', '-', fixture.copy()], 0, CHANGED],
    ['verify', ['verify', ...fixture.source, fixture.copy()], 4, CHANGED],
    ['rollback', ['rollback', '--redo', fixture.copy(), fixture.folder], 12, 0],
    ['cycle', ['cycle', 'nothing/here', '/nowhere/x', '-b', '/nowhere/y'], 1, 0],
  ];
  for (const [command, words, status, bytes] of kinds) {
    test(`tell of ${words.slice(0, 2).join(' ')}`, () => {
      writeFileSync(path, '');
      const result = lvmsync(
        ['--metrics', path, ...words],
        words.includes('-') ? { input: dump } : {},
      );
      assert.equal(result.status, status, result.stderr);
      assert.deepEqual([value('last_run_exit_status'), value('last_run_bytes')], [status, bytes]);
      const [sample] = parsePrometheus(text()).get('lvmsync_runs_total')?.samples ?? [];
      assert.equal(sample?.labels.command, command);
    });
  }

  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const) {
    test(`tell of a run that ${signal} ended, and keep the time of the last success`, async () => {
      rmSync(path, { force: true });
      const job = ['--metrics', path, '--stdout', ...fixture.source];
      assertSucceeds(lvmsync(job));
      const success = value('last_success_timestamp_seconds');
      const run = startLvmsync(['--json', '--bwlimit', '40K', ...job]);
      await run.waitFor(/"type":"progress"/);
      run.child.kill(signal);
      const result = await run.ended;
      assert.equal(result.status, status, result.stderr);
      const end = endOf(messagesOf(result.stderr));
      assert.deepEqual({ ...end, type: 'fatal', name: 'interrupted', exitStatus: status }, end);
      assert.equal(value('last_run_exit_status'), status);
      assert.equal(value('last_success_timestamp_seconds'), success);
      const moved = value('last_run_bytes') ?? 0;
      assert.ok(moved > 0 && moved < CHANGED, `${moved} bytes`);
      assert.deepEqual([value('runs_total'), value('failures_total')], [2, 1]);
    });
  }

  test('are lost at the end with a line that says so, also under -q, and the run is still a success', () => {
    assertSucceeds(lvmsync(['--metrics', path, '--stdout', ...fixture.source]));
    const former = text();
    const files = readdirSync(fixture.folder);
    // No file may become longer than half a KiB or one KiB: of the figures only a part can be written.
    const limited = ['sh', '-c', 'ulimit -f 1 && exec "$@"', 'sh', process.execPath, CLI];
    for (const quiet of [[], ['-q']]) {
      const words = [...quiet, '--metrics', path, '--stdout', ...fixture.source];
      const result = runTool([...limited, ...words]);
      assertSucceeds(result);
      assert.equal(result.stdout.length, dump.length);
      const complaints = result.stderr.match(/^ERROR: --metrics: .*\(EFBIG\).*$/gm) ?? [];
      assert.equal(complaints.length, 1, result.stderr);
      assert.equal(text(), former);
      assert.deepEqual(readdirSync(fixture.folder), files);
    }
  });

  test('are refused before anything is done where the file is another one', () => {
    const copy = fixture.copy();
    const result = lvmsync(['--metrics', copy, ...fixture.source, copy]);
    assertFails(result, 1, /--metrics: .* it is not a metrics file of lvmsync/);
    assert.match(result.stderr, /Nothing was done\./);
    assert.ok(fixture.isUntouched(copy));
  });
});

function thisFile(): string {
  return new URL(import.meta.url).pathname;
}

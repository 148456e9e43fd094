/** `lvmsync --streams N SNAPSHOT HOST:DESTINATION`: several receivers share one destination. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseOptions } from '../../src/cli/option-grammar.js';
import { toCommand } from '../../src/cli/parse.js';
import { NO_EXTENTS } from '../../src/device/extent.js';
import { sendTo } from '../../src/remote/send.js';
import { openSource } from '../../src/source/open-source.js';
import { decodeHello } from '../../src/stream/control-frame.js';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  lvmsync,
  startLvmsync,
} from '../helpers/program/cli.js';
import { contextOf } from '../helpers/program/in-process.js';
import { Random } from '../helpers/random.js';
import { type FakeRsh, fakeRsh, writeLvmsync } from '../helpers/remote/fake-rsh.js';
import { scratchFolder } from '../helpers/scratch.js';
import { dataRecordsOf, recordsOf } from '../helpers/streams/stream-parts.js';

const MIB = 1024 * 1024;
const CHUNK = 64 * 1024;
const CHUNKS = 400;
const random = new Random();
const folder = scratchFolder();
mkdirSync(`${folder}/bin`);
writeLvmsync(`${folder}/bin`);
/** 25 MiB, of which two thirds have changed. */
const source = offlineSource(folder, {
  chunkSize: CHUNK,
  size: CHUNKS * CHUNK,
  changedChunks: Array.from({ length: CHUNKS }, (_, i) => i).filter(() => random.below(3) > 0),
});
const ORIGINAL = fileURLToPath(new URL('../helpers/remote/fake-rsh-original.js', import.meta.url));
let made = 0;

/** A new file that holds what the snapshot holds. */
function copy(content: Buffer = source.former): string {
  const path = `${folder}/copy-${made++}.img`;
  writeFileSync(path, content);
  return path;
}

interface Rsh extends FakeRsh {
  /** Ends in `-`; each call makes files that begin so and go on with its number. */
  readonly notes: string;
  /** How often it was called. */
  readonly calls: () => number;
}

/**
 * Stands for ssh. In the body `$n` tells the calls apart, counted from 1; where it does not end by
 * itself, the receiver runs.
 */
function rsh(body = ''): Rsh {
  const name = `call-${made++}-`;
  const notes = `${folder}/${name}`;
  const count = `n=1; while ! mkdir "${notes}$n" 2>/dev/null; do n=$((n + 1)); done`;
  const made_ = fakeRsh(folder, `${count}\n${body}\nexec sh -c "$line"`);
  const calls = (): number => readdirSync(folder).filter((one) => isCall(one, name)).length;
  return { ...made_, notes, calls };
}

function isCall(file: string, name: string): boolean {
  return file.startsWith(name) && /^\d+$/.test(file.slice(name.length));
}

function words(streams: number, { command }: FakeRsh, path: string, ...options: string[]) {
  const stream = ['--streams', String(streams), ...options];
  return [...source.words, '-e', command, ...stream, `backup:${path}`];
}

function send(streams: number, by: FakeRsh, path: string, ...options: string[]): CliResult {
  return lvmsync(words(streams, by, path, ...options));
}

/** Everything is sent, so that a file may be of any length before. */
async function sendAll(streams: number, by: FakeRsh, path: string, ...options: string[]) {
  const argv = words(streams, by, path, ...options);
  const command = toCommand(parseOptions(argv));
  assert.ok(command.kind === 'sync');
  const context = contextOf(argv);
  const opened = await openSource(command.source, context);
  try {
    const extents = NO_EXTENTS.withTail(0, opened.device.size);
    await sendTo({ ...opened, extents, copySize: 0 }, command, context);
  } finally {
    await opened.close();
  }
}

function assertSynced(path: string): void {
  assert.ok(readFileSync(path).equals(source.content), 'the destination holds the source');
}

function assertUntouched(path: string): void {
  assert.ok(readFileSync(path).equals(source.former), 'the destination holds what it held');
}

function shuffled<T>(items: readonly T[]): T[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(random.below(rest.length), 1));
}

/** Applies those snapbacks of one run that there are, in an order of chance. */
function goBack(snapbacks: readonly string[], path: string): void {
  for (const snapback of shuffled(snapbacks.filter(existsSync))) {
    assertSucceeds(lvmsync(['--apply', snapback, path]));
  }
  assertUntouched(path);
}

/** A receiver that is killed in its first group leaves an undo file which holds nothing yet. */
function goBackAfterKill(snapbacks: readonly string[], path: string): void {
  for (const snapback of shuffled(snapbacks.filter(existsSync))) {
    const result = lvmsync(['--apply', snapback, path]);
    if (!/it overwrote nothing, and nothing needs to be undone/.test(result.stderr)) {
      assertSucceeds(result);
    }
  }
  assertUntouched(path);
}

function partsOf(snapback: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${snapback}.${i + 1}-of-${count}`);
}

async function waitForFile(path: string): Promise<void> {
  while (!existsSync(path)) await new Promise((tick) => setTimeout(tick, 20));
}

describe('several streams', () => {
  for (const count of [2, 3, 8]) {
    test(`${count} of them bring over all changes, each by a receiver of its own`, () => {
      const path = copy();
      const by = rsh();
      const result = send(count, by, path, '--require-ack');
      assertSucceeds(result);
      assertSynced(path);
      assert.equal(by.calls(), count);
      const bytes = source.content.length;
      const transferred = [...result.stderr.matchAll(/^Transferred (\d+) bytes in /gm)];
      assert.equal(transferred.length, 1);
      assert.ok(Number(transferred[0]?.[1]) < bytes);
      assert.equal(result.stderr.match(/x faster than a full dd!$/gm)?.length, 1);
      assert.doesNotMatch(result.stderr, /WARNING|remote:/);
    });
  }

  test('16 of them log in a few at a time', () => {
    const path = copy();
    const by = rsh(`ls -d "${folder}/here-"* 2>/dev/null | wc -l > "${folder}/seen-$n"
      touch "${folder}/here-$n"; sleep 0.3; rm "${folder}/here-$n"`);
    assertSucceeds(send(16, by, path));
    assertSynced(path);
    assert.ok(by.calls() > 12, `${by.calls()} streams`);
    const seen = readdirSync(folder).filter((one) => one.startsWith('seen-'));
    const most = Math.max(...seen.map((one) => Number(readFileSync(`${folder}/${one}`, 'utf8'))));
    assert.ok(most < 8, `${most} others were logging in`);
  });

  test('name their set, their number and disjoint stretches of the device', () => {
    const by = rsh();
    const tee = fakeRsh(
      folder,
      `n=1; while ! mkdir "${by.notes}$n" 2>/dev/null; do n=$((n + 1)); done
      tee "${by.notes}stream-$n" | sh -c "$line"`,
    );
    const path = copy();
    assertSucceeds(send(3, tee, path));
    const streams = [1, 2, 3].map((n) => readFileSync(`${by.notes}stream-${n}`));
    const hellos = streams.map(helloOf).sort((a, b) => a.streamIndex - b.streamIndex);
    assert.deepEqual(
      hellos.map(({ streamIndex, streamCount }) => [streamIndex, streamCount]),
      [1, 2, 3].map((index) => [index, 3]),
    );
    const setId = hellos[0]?.streamId;
    assert.ok(setId !== undefined);
    for (const hello of hellos) assert.deepEqual(hello.setId, setId);
    assert.equal(new Set(hellos.map(({ streamId }) => String(streamId))).size, 3);
    const places = streams.map((stream) => {
      const records = dataRecordsOf(stream);
      const last = records.at(-1);
      assert.ok(last !== undefined);
      return [records[0]?.offset ?? 0, last.offset + last.data.length] as const;
    });
    places.sort(([a], [b]) => a - b);
    for (const [i, [, end]] of places.entries()) {
      const next = places[i + 1]?.[0] ?? Infinity;
      assert.ok(Math.floor((end - 1) / MIB) < Math.floor(next / MIB), `${end} and ${next}`);
    }
  });

  test('are one where little has changed, and the snapback keeps its name', () => {
    const small = scratchFolder();
    const { words: named, content, former } = offlineSource(small, { changedChunks: [3, 9, 200] });
    const [path, snapback] = [`${small}/copy`, `${small}/undo`];
    writeFileSync(path, former);
    const by = rsh();
    const options = ['--streams', '8', '-e', by.command, '-b', snapback];
    assertSucceeds(lvmsync([...named, ...options, `backup:${path}`]));
    assert.ok(readFileSync(path).equals(content));
    assert.equal(by.calls(), 1);
    assertSucceeds(lvmsync(['--apply', snapback, path]));
    assert.ok(readFileSync(path).equals(former));
  });

  for (const mode of ['lz4', 'auto']) {
    test(`may be compressed: ${mode}`, () => {
      const path = copy();
      const snapback = `${folder}/undo-${made++}`;
      const result = send(3, rsh(), path, `--compress=${mode}`, '-b', snapback);
      assertSucceeds(result);
      assert.doesNotMatch(result.stderr, /WARNING/);
      assertSynced(path);
      goBack(partsOf(snapback, 3), path);
    });
  }

  test('share one rate', () => {
    const path = copy();
    const result = send(4, rsh(), path, '--bwlimit', '8M');
    assertSucceeds(result);
    assertSynced(path);
    const [, bytes, seconds] =
      /^Transferred (\d+) bytes in ([\d.]+) seconds$/m.exec(result.stderr) ?? [];
    // A quarter of a second may be made up for.
    assert.ok(Number(seconds) > Number(bytes) / (8 * MIB) - 0.5, `${bytes} in ${seconds}`);
  });

  test('make a file as large as the source, whoever of them comes first', async () => {
    for (const length of [0, MIB, 5 * MIB, source.former.length - 1]) {
      const path = copy(source.former.subarray(0, length));
      await sendAll(4, rsh(), path);
      assert.ok(readFileSync(path).equals(source.content), `of ${length} bytes`);
    }
  });
});

function helloOf(stream: Buffer) {
  const words16 = recordsOf(stream)
    .slice(0, 4096)
    .map(({ offset }) => offset);
  const length = words16[2] ?? 0;
  const payload = Buffer.alloc(2 * length);
  words16.slice(3, 3 + length).forEach((word, i) => void payload.writeUInt16BE(word, 2 * i));
  return decodeHello(payload);
}

describe('snapbacks of several streams', () => {
  for (const count of [2, 3, 8]) {
    test(`${count} of them undo the run together, in any order`, () => {
      const path = copy();
      const snapback = `${folder}/undo-${made++}`;
      const result = send(count, rsh(), path, '--snapback', snapback);
      assertSucceeds(result);
      assertSynced(path);
      const parts = partsOf(snapback, count);
      for (const part of parts)
        assert.ok(result.stderr.includes(`lvmsync --apply ${part} ${path}`));
      assert.match(
        result.stderr,
        /^To undo this run on backup: .* \(all of them, in any order\)$/m,
      );
      goBack(parts, path);
    });
  }

  test('give a file that the run made larger its former size again, in any order', async () => {
    for (let round = 0; round < 3; round++) {
      const former = source.former.subarray(0, (1 + random.below(20)) * MIB + 4096);
      const path = copy(former);
      const snapback = `${folder}/undo-${made++}`;
      await sendAll(3, rsh(), path, '--snapback', snapback);
      assert.ok(readFileSync(path).equals(source.content));
      for (const part of shuffled(partsOf(snapback, 3))) {
        assertSucceeds(lvmsync(['--apply', part, path]));
      }
      assert.ok(readFileSync(path).equals(former), `${former.length} bytes`);
    }
  });

  test('say when one of them is applied that there are others', () => {
    const path = copy();
    const snapback = `${folder}/undo-${made++}`;
    assertSucceeds(send(2, rsh(), path, '-b', snapback));
    const result = lvmsync(['--apply', `${snapback}.2-of-2`, path]);
    assertSucceeds(result);
    assert.match(result.stderr, /this was snapback 2 of 2 of its run/);
  });

  test('are all there before a byte is written: one that exists already refuses the run', () => {
    for (const which of [1, 2, 3]) {
      const path = copy();
      const snapback = `${folder}/undo-${made++}`;
      const taken = `${snapback}.${which}-of-3`;
      writeFileSync(taken, 'of an earlier run');
      const result = send(3, rsh(), path, '--snapback', snapback);
      assertFails(
        result,
        16,
        new RegExp(`^FATAL ERROR: backup \\(stream ${which} of 3\\): .*exists`),
      );
      assert.match(result.stderr, /^Nothing was written there\.$/m);
      assert.deepEqual(partsOf(snapback, 3).filter(existsSync), [taken]);
      assertUntouched(path);
      assert.equal(readFileSync(taken, 'utf8'), 'of an earlier run');
    }
  });

  test('are not made where the destination does not accept the run', () => {
    const path = `${folder}/absent`;
    const result = send(3, rsh(), path, '--snapback', `${folder}/undo-absent`);
    assertFails(result, 12, /^FATAL ERROR: backup \(stream \d of 3\): .*absent/);
    assert.match(result.stderr, /^Nothing was written there\.$/m);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('undo-absent')),
      [],
    );
  });
});

describe('one of several streams that fails', () => {
  const COUNT = 3;
  const failures: readonly [what: string, body: string, message: RegExp][] = [
    ['cannot connect', 'exit 255', /could not be reached/],
    ['finds no program', 'exec no-such-program', /was not found/],
    ['ends at once', 'exit 0', /before everything was sent/],
    [
      'dies in the middle',
      'dd bs=64k count=40 2> /dev/null | sh -c "$line"; kill -9 $$',
      /was ended by SIGKILL|cut off/,
    ],
    [
      'ends in the middle',
      'dd bs=64k count=40 2> /dev/null | sh -c "$line"; exit 9',
      /status 9|cut off/,
    ],
    ['fails after its last byte', 'sh -c "$line"; exit 1', /status 1|without its result/],
    [
      'confirms nothing',
      'sh -c "$line" | grep --line-buffered -v result; exit 0',
      /without its result/,
    ],
  ];
  for (const [what, misbehaviour, message] of failures) {
    test(`because it ${what}: the run fails with its failure, and can be undone or completed`, () => {
      const path = copy();
      const victim = 1 + random.below(COUNT);
      const by = rsh(`if [ $n = ${victim} ]; then ${misbehaviour}; fi`);
      const snapback = `${folder}/undo-${made++}`;
      const result = send(COUNT, by, path, '--snapback', snapback, '--timeout', '20');
      assert.ok([14, 17].includes(result.status ?? 0), result.stderr);
      assertFails(result, result.status ?? 0, message);
      assert.match(result.stderr, /^FATAL ERROR: backup \(stream \d of 3\): /m);
      if (/Nothing was written there/.test(result.stderr)) assertUntouched(path);
      else goBack(partsOf(snapback, COUNT), path);
      assertSucceeds(send(COUNT, rsh(), path, '--snapback', `${snapback}-again`));
      assertSynced(path);
    });
  }

  test('because it hangs: --timeout ends all, and names the one', () => {
    const path = copy();
    const hang = '(dd bs=64k count=40 2> /dev/null; exec sleep 600) | sh -c "$line"';
    const result = send(COUNT, rsh(`if [ $n = 2 ]; then ${hang}; fi`), path, '--timeout', '2');
    assertFails(result, 17, /^FATAL ERROR: backup \(stream \d of 3\): nothing moved for 2 s/);
  });

  test('because its receiver hangs before it is ready: nothing is written by the others', () => {
    const path = copy();
    const by = rsh('if [ $n = 2 ]; then exec sleep 600; fi');
    const result = send(COUNT, by, path, '--timeout', '2', '-b', `${folder}/undo-${made++}`);
    assertFails(result, 17, /^FATAL ERROR: backup \(stream \d of 3\): no answer for 2 s/);
    assert.match(result.stderr, /^Nothing was written there\.$/m);
    assertUntouched(path);
  });

  test('because its receiver is killed: all snapbacks together go back', async () => {
    const path = copy();
    const gate = `${folder}/gate-${made++}`;
    const by =
      rsh(`(dd bs=64k count=30 2> /dev/null; touch "${folder}/middle-$n"; while [ ! -e ${gate} ]; do sleep 0.05; done; cat) |
      lvmsync $(echo "$line" | cut -d' ' -f2-); exit $?`);
    const snapback = `${folder}/undo-${made++}`;
    const run = startLvmsync(words(COUNT, by, path, '-b', snapback));
    for (const n of [1, 2, 3]) await waitForFile(`${folder}/middle-${n}`);
    const victims = receiversOf(path);
    assert.equal(victims.length, COUNT);
    process.kill(victims[random.below(COUNT)] ?? 0, 'SIGKILL');
    writeFileSync(gate, '');
    const result = await run.ended;
    assertFails(result, 17, /^FATAL ERROR: backup \(stream \d of 3\): /);
    while (receiversOf(path).length > 0) await new Promise((tick) => setTimeout(tick, 20));
    goBackAfterKill(partsOf(snapback, COUNT), path);
  });
});

/** Pids of the receivers that write that file. */
function receiversOf(path: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const argv = tryRead(`/proc/${pid}/cmdline`).split('\0');
      return argv.includes('--apply') && argv.includes(path) && argv[1] === CLI;
    })
    .map(Number);
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

describe('the destination of several streams', () => {
  test('is refused to every other run until the last of them has ended', async () => {
    const path = copy();
    const gate = `${folder}/gate-${made++}`;
    const by =
      rsh(`(dd bs=64k count=30 2> /dev/null; touch "${gate}-$n"; while [ ! -e ${gate} ]; do sleep 0.05; done; cat) |
      sh -c "$line"; exit $?`);
    const run = startLvmsync(words(3, by, path));
    for (const n of [1, 2, 3]) await waitForFile(`${gate}-${n}`);
    const change = lvmsync([...source.words, path]);
    assertFails(change, 19, /another lvmsync is at work on it/);
    assertFails(send(1, rsh(), path), 19, /another lvmsync is at work on it/);
    assertFails(
      send(3, rsh(), path),
      19,
      /^FATAL ERROR: backup \(stream \d of 3\): .*at work on it/,
    );
    writeFileSync(gate, '');
    assertSucceeds(await run.ended);
    assertSynced(path);
    assertSucceeds(lvmsync([...source.words, path]));
  });

  test('belongs to one of two runs that begin at once', async () => {
    const path = copy();
    const runs = [0, 1].map(() => startLvmsync(words(3, rsh(), path)));
    const results = await Promise.all(runs.map(({ ended }) => ended));
    const statuses = results.map(({ status }) => status);
    for (const status of statuses) assert.ok(status === 0 || status === 19, `${statuses}`);
    if (statuses.includes(0)) assertSynced(path);
    else assertUntouched(path);
    assertSucceeds(send(2, rsh(), path));
    assertSynced(path);
  });
});

describe('a sender of several streams that is told to stop', () => {
  test('tells all receivers, and ends with the signal', async () => {
    const path = copy();
    const mark = `${folder}/reached-${made++}`;
    const by = rsh(
      `(dd bs=64k count=30 2> /dev/null; touch "${mark}-$n"; sleep 1; cat) | sh -c "$line"; exit $?`,
    );
    const snapback = `${folder}/undo-${made++}`;
    const run = startLvmsync(words(3, by, path, '-b', snapback));
    for (const n of [1, 2, 3]) await waitForFile(`${mark}-${n}`);
    run.child.kill('SIGINT');
    const result = await run.ended;
    assert.equal(result.status, 130, result.stderr);
    assert.equal(result.stderr.match(/^FATAL ERROR: interrupted by SIGINT$/gm)?.length, 1);
    assert.equal(result.stderr.match(/the sender gave up: interrupted by SIGINT/g)?.length, 3);
    goBack(partsOf(snapback, 3), path);
  });
});

describe('several originals that receive', () => {
  const tools = `${folder}/original`;
  mkdirSync(tools);
  writeFileSync(`${tools}/lvmsync`, `#!/bin/sh\nexec '${process.execPath}' '${ORIGINAL}' "$@"\n`, {
    mode: 0o755,
  });
  const originals = (): Rsh => rsh(`PATH='${tools}':"$PATH"`);

  for (const [format, ...options] of [['classic'], ['auto', '--timeout', '4']] as const) {
    test(`--format ${format} is understood by all of them`, () => {
      const path = copy();
      const by = originals();
      const result = send(3, by, path, '--format', format, ...options);
      assertSucceeds(result);
      assertSynced(path);
      assert.equal(by.calls(), 3);
      assert.match(result.stderr, /WARNING: backup: the receiver does not confirm what it wrote/);
    });
  }

  test('with snapbacks need --format classic, which keeps one of each', () => {
    const path = copy();
    const snapback = `${folder}/undo-${made++}`;
    assertSucceeds(send(3, originals(), path, '--format', 'classic', '-b', snapback));
    assertSynced(path);
    goBack(partsOf(snapback, 3), path);
  });

  test('and receivers of ours do not: a classic stream does not say what it belongs to', () => {
    const path = copy();
    const result = send(3, rsh(), path, '--format', 'classic');
    assertFails(result, 17, /status 19|locked/);
    assert.match(result.stderr, /Leave out --format=classic/);
  });
});

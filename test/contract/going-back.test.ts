/** A snapback put to the test: a rollback that is itself cut off, and ends of a file that a crash leaves. */

import assert from 'node:assert/strict';
import {
  appendFileSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { forgetEnd } from '../helpers/chain/registry-entries.js';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  canTrace,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';
import { framedStream } from '../helpers/streams/stream-parts.js';

const MiB = 1024 * 1024;
const folder = scratchFolder();
const random = new Random();
const chunks = (16 * MiB) / 4096;
const source = offlineSource(folder, {
  size: 16 * MiB,
  changedChunks: random.distinct(chunks / 2, chunks),
});
let count = 0;

/** A destination that was synced, and the snapback of that run. */
function synced(): { readonly destination: string; readonly snapback: string } {
  const destination = join(folder, `destination-${count}`);
  const snapback = join(folder, `snapback-${count++}`);
  writeFileSync(destination, source.former);
  assertSucceeds(lvmsync([...source.words, '--snapback', snapback, destination]));
  assert.ok(readFileSync(destination).equals(source.content));
  return { destination, snapback };
}

/** An end that is torn in the middle of the last group: the run was killed before it was durable. */
const TORN = 700;

describe('a rollback', () => {
  test('may be repeated', () => {
    const { destination, snapback } = synced();
    for (let round = 0; round < 2; round++) {
      assertSucceeds(lvmsync(['--apply', snapback, destination]));
      assert.ok(readFileSync(destination).equals(source.former), `round ${round}`);
    }
  });

  const skip = canTrace() ? false : 'strace is not permitted here';
  test('that is killed at any of its writes is completed by repeating it', { skip }, () => {
    let unfinished = 0;
    // Threads write side by side, and strace counts the calls of each by itself.
    for (const nth of [1, 2, 4, 8, 16, 32, 64]) {
      const { destination, snapback } = synced();
      const killed = runTool(
        [
          ...['strace', '-f', '-o', '/dev/null', '-P', destination, '-e', 'trace=pwrite64'],
          ...['-e', `inject=pwrite64:signal=KILL:when=${nth}`],
          ...[process.execPath, CLI, '--apply', snapback, destination],
        ],
        { env: { ...process.env, LVMSYNC_IO_ENGINE: 'threads' } },
      );
      if (!readFileSync(destination).equals(source.former)) {
        assert.notEqual(killed.status, 0, `killed at ${nth}`);
        unfinished++;
      }
      assertSucceeds(lvmsync(['--apply', snapback, destination]));
      assert.ok(readFileSync(destination).equals(source.former), `killed at ${nth}`);
    }
    assert.ok(unfinished >= 3, `${unfinished} rollbacks were cut off`);
  });
});

describe('F4: a snapback of a file', () => {
  const refused = (snapback: string, destination: string, message: RegExp): void => {
    const before = readFileSync(destination);
    for (const words of [[], ['--dry-run']]) {
      assertFails(lvmsync([...words, '--apply', snapback, destination]), 12, message);
    }
    assert.ok(readFileSync(destination).equals(before), 'nothing was written');
  };

  test('is refused for another file of that size, unless that is forced', () => {
    const { destination, snapback } = synced();
    const other = join(folder, `other-${count}`);
    writeFileSync(other, source.content);
    refused(snapback, other, /this snapback belongs to .*destination-\d+, not to .*other/);
    renameSync(destination, `${destination}.moved`);
    refused(snapback, `${destination}.moved`, /belongs to/);
    assertSucceeds(lvmsync(['--force', '--apply', snapback, `${destination}.moved`]));
    assert.ok(readFileSync(`${destination}.moved`).equals(source.former));
  });

  test('is refused where the file has got another size, unless that is forced', () => {
    const { destination, snapback } = synced();
    appendFileSync(destination, Buffer.alloc(512));
    refused(snapback, destination, /is for .*\(16777216 bytes\), but .* has .*\(16777728 bytes\)/);
    assertSucceeds(lvmsync(['--force', '--apply', snapback, destination]));
  });

  test('is taken for the same file by another name', () => {
    const names = [
      (path: string) => {
        linkSync(path, `${path}.hard`);
        return `${path}.hard`;
      },
      (path: string) => {
        symlinkSync(path, `${path}.soft`);
        return `${path}.soft`;
      },
      (path: string) => relative(process.cwd(), path),
    ];
    for (const nameOf of names) {
      const { destination, snapback } = synced();
      const name = nameOf(destination);
      assertSucceeds(lvmsync(['--apply', snapback, name]));
      assert.ok(readFileSync(destination).equals(source.former), name);
    }
  });

  test('is taken for one restored to its place with --force only: it may hold anything', () => {
    const { destination, snapback } = synced();
    rmSync(destination);
    writeFileSync(destination, source.content);
    refused(snapback, destination, /something else wrote to it since the run that this snapback/);
    assertSucceeds(lvmsync(['--apply', snapback, '--force', destination]));
    assert.ok(readFileSync(destination).equals(source.former));
  });

  test('of which the run made the file longer is taken before and after that', async () => {
    const { destination, snapback } = synced();
    const [stream, grown] = [`${snapback}.stream`, `${snapback}.grown`];
    await framedStream(stream, {
      kind: 'file',
      deviceSize: 17 * MiB,
      groups: [[{ offset: 0, data: random.bytes(4096) }]],
    });
    assertSucceeds(lvmsync(['--apply', stream, '--snapback', grown, destination]));
    refused(snapback, destination, /is for .*\(16777216 bytes\), but .* has .*\(17825792 bytes\)/);
    for (let round = 0; round < 2; round++) {
      assertSucceeds(lvmsync(['--apply', grown, destination]));
      assert.ok(readFileSync(destination).equals(source.content));
    }
    assertSucceeds(lvmsync(['--apply', snapback, destination]));
  });
});

describe('the end of a snapback', () => {
  const ends: readonly [what: string, tear: (path: string) => void][] = [
    ['is cut', () => undefined],
    ['reads as zeros', (path) => appendFileSync(path, Buffer.alloc(64 * 1024))],
    ['is filled up with zeros', (path) => appendFileSync(path, Buffer.alloc(TORN))],
    ['holds what was on the disk before', (path) => appendFileSync(path, random.bytes(TORN))],
  ];
  for (const [what, tear] of ends) {
    test(`that ${what} is passed over after a kill: all that is whole before it is undone`, () => {
      const { destination, snapback } = synced();
      forgetEnd(destination);
      const whole = readFileSync(snapback).length;
      truncateSync(snapback, whole - TORN);
      tear(snapback);
      assertSucceeds(lvmsync(['--apply', snapback, destination]));
      const after = readFileSync(destination);
      for (let at = 0; at < after.length; at += 4096) {
        const chunk = after.subarray(at, at + 4096);
        const known = [source.content, source.former].map((one) => one.subarray(at, at + 4096));
        assert.ok(
          known.some((one) => chunk.equals(one)),
          `the chunk at ${at}`,
        );
      }
      assert.ok(!after.equals(source.content), 'something was undone');
    });
  }

  test('F30: is missed where its run had finished', () => {
    const { destination, snapback } = synced();
    const whole = readFileSync(snapback);
    for (const length of [whole.length - 10, whole.length - TORN, whole.length / 2]) {
      writeFileSync(snapback, whole.subarray(0, length));
      for (const words of [[], ['--dry-run']]) {
        const result = lvmsync(['--apply', snapback, destination, ...words]);
        assertFails(result, 14, /although its run had finished/);
        assert.match(result.stderr, /Nothing was written\.$/m);
      }
      assert.ok(readFileSync(destination).equals(source.content));
    }
    // Where the file has no name any more, the end is known at the end only.
    const script = 'exec 3<"$3"; rm "$3"; "$0" "$1" --apply - "$2" <&3';
    const argv = ['sh', '-c', script, process.execPath, CLI, destination, snapback];
    const piped = runTool(argv);
    assertFails(piped, 14, /although its run had finished/);
    assert.match(piped.stderr, /is between two states: what is left of the snapback was put back/);
    writeFileSync(snapback, whole.subarray(0, whole.length / 2));
    const forced = lvmsync(['--apply', snapback, destination, '--force']);
    assertSucceeds(forced);
    assert.match(forced.stderr, /^WARNING: --force overrides: .*although its run had finished/m);
    writeFileSync(snapback, whole);
    assertSucceeds(lvmsync(['--apply', snapback, destination]));
    assert.ok(readFileSync(destination).equals(source.former));
  });

  for (const [what, script] of [
    ['standard input', 'cat "$3" | "$0" "$1" --apply /dev/stdin "$2"'],
    ['a fifo', 'mkfifo "$3.f"; cat "$3" >"$3.f" & "$0" "$1" --apply "$3.f" "$2"'],
  ] as const) {
    test(`is not looked for beforehand in ${what}, by whatever name`, () => {
      const { destination, snapback } = synced();
      const argv = ['timeout', '60', 'sh', '-c', script, process.execPath, CLI];
      assertSucceeds(runTool([...argv, destination, snapback]));
      assert.ok(readFileSync(destination).equals(source.former));
    });
  }

  test('is not what damage further in front is taken for: nothing behind it would be undone', () => {
    const { destination, snapback } = synced();
    const bytes = readFileSync(snapback);
    const place = 1000;
    bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
    writeFileSync(snapback, bytes);
    assertFails(lvmsync(['--apply', snapback, destination]), 15, /./);
    assert.ok(readFileSync(destination).equals(source.content));
  });
});

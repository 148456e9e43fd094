/** A snapback put to the test: a rollback that is itself cut off, and ends of a file that a crash leaves. */

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assertFails, assertSucceeds, CLI, canTrace, lvmsync, runTool } from '../helpers/cli.js';
import { offlineSource } from '../helpers/offline-source.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

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
    const { destination, snapback } = synced();
    let unfinished = 0;
    // Threads write side by side, and strace counts the calls of each by itself.
    for (const nth of [1, 2, 4, 8, 16, 32, 64]) {
      writeFileSync(destination, source.content);
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

describe('the end of a snapback', () => {
  const ends: readonly [what: string, tear: (path: string) => void][] = [
    ['is cut', () => undefined],
    ['reads as zeros', (path) => appendFileSync(path, Buffer.alloc(64 * 1024))],
    ['is filled up with zeros', (path) => appendFileSync(path, Buffer.alloc(TORN))],
    ['holds what was on the disk before', (path) => appendFileSync(path, random.bytes(TORN))],
  ];
  for (const [what, tear] of ends) {
    test(`that ${what} is passed over: all that is whole before it is undone`, () => {
      const { destination, snapback } = synced();
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

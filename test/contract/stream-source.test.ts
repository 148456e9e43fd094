/** Where a stream comes from, and what goes wrong there: told to the side that reads it. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  canTrace,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const MiB = 1024 * 1024;
const CHUNK = 4096;
/** Every second chunk, so that none is merged with the next. */
const changedChunks = Array.from({ length: (8 * MiB) / CHUNK / 2 }, (_, i) => 2 * i);
const source = offlineSource(folder, { size: 8 * MiB, changedChunks });

const skip = canTrace() ? false : 'strace is not permitted here';

describe('a source that cannot be read', { skip }, () => {
  /** Of the calls of each thread that reads the source, the tenth and all later ones fail. */
  function failing(words: readonly string[]) {
    const fault = [
      '-P',
      source.data,
      '-e',
      'trace=pread64',
      '-e',
      'inject=pread64:error=EIO:when=10+',
    ];
    const argv = ['strace', '-f', '-o', '/dev/null', ...fault, process.execPath, CLI, ...words];
    return runTool(argv, { env: { ...process.env, LVMSYNC_IO_ENGINE: 'threads' } });
  }

  function destinationFile(name: string): string {
    const path = join(folder, name);
    writeFileSync(path, source.former);
    return path;
  }

  /** Whole chunks of the one or the other content, and not all of the new one. */
  function assertIncomplete(path: string): void {
    const found = readFileSync(path);
    for (let at = 0; at < found.length; at += CHUNK) {
      const chunk = found.subarray(at, at + CHUNK);
      const known = [source.content, source.former].map((one) => one.subarray(at, at + CHUNK));
      assert.ok(
        known.some((one) => chunk.equals(one)),
        `the chunk at ${at}`,
      );
    }
    assert.ok(!found.equals(source.content));
  }

  test('ends the stream with what happened: status 11 here, and where it is applied', () => {
    const result = failing([...source.words, '--stdout']);
    assertFails(result, 11, /data\.img: read error at byte \d+ \(EIO/);
    const stream = join(folder, 'stream');
    writeFileSync(stream, result.stdout);
    const destination = destinationFile('applied');
    const applied = lvmsync(['--apply', stream, destination]);
    assertFails(applied, 11, /the sender gave up: .*data\.img: read error at byte \d+/);
    assert.doesNotMatch(applied.stderr, /^Transferred/m);
    assertIncomplete(destination);
  });

  test('is told to the other host, too, which keeps whole chunks only', () => {
    const fixture = new RemoteFixture();
    const destination = destinationFile('remote');
    const words = [...source.words, '-e', fixture.goodRsh().command, `backup:${destination}`];
    const result = failing(words);
    assertFails(result, 11, /data\.img: read error at byte \d+ \(EIO/);
    assert.match(result.stderr, /^remote:.*the sender gave up: .*read error/m);
    assertIncomplete(destination);
  });

  test('ends a local run before the byte is written, and says what is missing', () => {
    const destination = destinationFile('local');
    const result = failing([...source.words, destination]);
    assertFails(result, 11, /data\.img: read error at byte \d+ \(EIO/);
    assert.match(result.stderr, /is incomplete: .* applied|Nothing was written/);
    assertIncomplete(destination);
    assertSucceeds(lvmsync([...source.words, destination]));
    assert.ok(readFileSync(destination).equals(source.content));
  });
});

describe('a stream with something in front of it', () => {
  const destination = join(folder, 'noisy');
  const greeting = 'Welcome to backup, \x1b[1mDebian\x1b[0m\n';

  test('is refused, shown, and a login script is named as the likely reason', () => {
    writeFileSync(destination, source.former);
    // Short enough for a pipe: it is not read beyond the first line.
    const input = `${greeting}lvmsync PROTO[3]\n`;
    const result = lvmsync(['--apply', '-', destination], { input });
    assertFails(result, 15, /not a change stream or snapback: it begins with "Welcome to backup/);
    assert.match(result.stderr, /login script/);
    assert.ok(readFileSync(destination).equals(source.former));
  });

  test('is not blamed on a login script where it is a file', () => {
    const path = join(folder, 'greeting');
    writeFileSync(path, greeting);
    const result = lvmsync(['--apply', path, destination]);
    assertFails(result, 15, /not a change stream/);
    assert.doesNotMatch(result.stderr, /login script/);
  });
});

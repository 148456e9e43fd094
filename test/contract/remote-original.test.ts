/** The original lvmsync at the other end: its sender with our receiver, our sender with its receiver. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readGoldenImage } from '../helpers/golden.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  lvmsync,
} from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';
import { sendAsOriginal } from '../helpers/streams/original-sender.js';
import { recordHeader, recordsOf } from '../helpers/streams/stream-parts.js';

const fixture = new RemoteFixture();
const random = new Random();
const STREAM = readGoldenImage('thick-4k/stream');

/** As the original hands it to its pipe: a line, then header and payload of each record by turns. */
function asWritten(stream: Buffer): Buffer[] {
  const line = stream.subarray(0, stream.indexOf('\n') + 1);
  const parts = recordsOf(stream).flatMap(({ offset, data }) => [
    recordHeader(offset, data.length),
    data,
  ]);
  return [line, ...parts];
}

function atRandom(stream: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < stream.length; ) {
    const length = 1 + random.below(random.below(2) === 0 ? 30 : 9000);
    pieces.push(stream.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

interface Received extends CliResult {
  /** What each read of its stderr brought. */
  readonly reads: readonly string[];
}

/** Starts our program and writes the pieces to it, with a pause after some of them. */
async function receive(pieces: readonly Buffer[], ...words: string[]): Promise<Received> {
  const child = spawn(process.execPath, [CLI, ...words], { stdio: 'pipe' });
  const reads: string[] = [];
  const stdout: Buffer[] = [];
  child.stderr.on('data', (data) => reads.push(String(data)));
  child.stdout.on('data', (data) => stdout.push(data));
  // It may be gone before all is written.
  child.stdin.on('error', () => undefined);
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  for (const piece of pieces) {
    child.stdin.write(piece);
    if (random.below(4) === 0) await new Promise((tick) => setTimeout(tick, 1));
  }
  child.stdin.end();
  const [status, signal] = await closed;
  return { status, signal, stdout: Buffer.concat(stdout), stderr: reads.join(''), reads };
}

/** The original reads line by line: it would wait for the rest of half a line for ever. */
function assertQuiet({ stdout, reads }: Received): void {
  assert.equal(stdout.length, 0, stdout.toString());
  for (const text of reads) assert.match(text, /\n$/);
}

describe('the original sends', () => {
  for (const [how, cut] of [
    ['headers and payloads one by one', asWritten],
    ['in pieces of any size', atRandom],
    [
      'byte by byte at its beginning',
      (stream: Buffer) => [
        ...[...stream.subarray(0, 99)].map((byte) => Buffer.of(byte)),
        stream.subarray(99),
      ],
    ],
  ] as const) {
    for (const words of [['--apply', '-'], ['--server']]) {
      test(`${how} into ${words.join(' ')}: the right image, and not a word on stdout`, async () => {
        const destination = fixture.copy();
        const result = await receive(cut(STREAM), ...words, destination);
        assertSucceeds(result);
        assertQuiet(result);
        assert.ok(fixture.isSynced(destination));
      });
    }
  }

  test('with --snapback, as the original calls the other side: it can be undone', async () => {
    const destination = fixture.copy();
    const snapback = fixture.path('undo');
    const words = ['--apply', '-', '--snapback', snapback, '-v', '-d', destination];
    const result = await receive(asWritten(STREAM), ...words);
    assertSucceeds(result);
    assertQuiet(result);
    assert.ok(fixture.isSynced(destination));
    assertSucceeds(lvmsync(['--apply', snapback, destination]));
    assert.ok(fixture.isUntouched(destination));
  });

  test('a snapback of its own, which goes back', async () => {
    const destination = fixture.path('forward');
    writeFileSync(destination, fixture.origin);
    const result = await receive(
      [readGoldenImage('thick-4k/snapback')],
      '--apply',
      '-',
      destination,
    );
    assertSucceeds(result);
    assert.ok(fixture.isUntouched(destination));
  });

  test('a thin snapshot', async () => {
    const destination = fixture.path('thin');
    writeFileSync(destination, readGoldenImage('thin-64k/snapshot.img'));
    const result = await receive(
      asWritten(readGoldenImage('thin-64k/stream')),
      '--apply',
      '-',
      destination,
    );
    assertSucceeds(result);
    assert.ok(readFileSync(destination).equals(readGoldenImage('thin-64k/origin.img')));
  });

  test('a stream that its short last chunk has damaged: refused with status 15', async () => {
    // The source ends inside its last chunk, which is not the last one in the stream.
    const source = fixture.origin.subarray(0, 100 * 4096 + 1000);
    const offsets = [7, 100, 3, 50].map((chunk) => chunk * 4096);
    const stream = sendAsOriginal({ chunkSize: 4096, offsets, source });
    const destination = fixture.path('short');
    writeFileSync(destination, Buffer.alloc(source.length));
    const result = await receive(atRandom(stream), '--apply', '-', destination);
    assertFails(result, 15, /looks desynchronised/);
    assertQuiet(result);
    assert.match(result.stderr, /size of the source is not a multiple of its chunk size/);
  });

  test('a stream that is cut inside a record: status 14, in whole lines', async () => {
    const destination = fixture.copy();
    const result = await receive(
      [STREAM.subarray(0, STREAM.length - 100)],
      '--apply',
      '-',
      destination,
    );
    assertFails(result, 14, /cut off/);
    assertQuiet(result);
    assert.ok(fixture.isMixed(destination));
  });

  test('nothing but its first line: no failure, but a warning', async () => {
    const destination = fixture.copy();
    const result = await receive([STREAM.subarray(0, 17)], '--apply', '-', destination);
    assertSucceeds(result);
    assertQuiet(result);
    assert.match(result.stderr, /WARNING: standard input: the stream is empty/);
    assert.ok(fixture.isUntouched(destination));
  });
});

describe('the original receives', () => {
  const tools = fixture.path('original');
  mkdirSync(tools);
  const program = fileURLToPath(new URL('../helpers/remote/fake-rsh-original.js', import.meta.url));
  const path = join(tools, 'lvmsync');
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  chmodSync(path, 0o755);
  const rsh = fixture.rsh(`PATH='${tools}':"$PATH"\nexec sh -c "$line"`);

  for (const format of ['auto', 'classic']) {
    test(`what we send with --format ${format}: the right image, status 0 and a warning`, () => {
      const destination = fixture.copy();
      const result = fixture.send(rsh, destination, '--format', format);
      assertSucceeds(result);
      assert.ok(fixture.isSynced(destination));
      assert.match(result.stderr, /WARNING: backup: the receiver does not confirm what it wrote/);
      assert.doesNotMatch(result.stderr, /^remote:/m);
    });

    test(`what we send with --format ${format} and keeps a snapback that both can apply`, () => {
      const destination = fixture.copy();
      const snapback = fixture.path(`original-undo-${format}`);
      assertSucceeds(
        fixture.send(rsh, destination, '-v', '-d', '--snapback', snapback, '--format', format),
      );
      assert.ok(fixture.isSynced(destination));
      assertSucceeds(lvmsync(['--apply', snapback, destination]));
      assert.ok(fixture.isUntouched(destination));
    });
  }

  test('what we send, which is not enough where a confirmation is required', () => {
    assertFails(fixture.send(rsh, fixture.copy(), '--require-ack'), 17, /did not confirm/);
  });

  test('and fails: status 17 with its words', () => {
    const result = fixture.send(rsh, fixture.path('absent'));
    assertFails(result, 17, /ended with status 1/);
  });
});

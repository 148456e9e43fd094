/** Compressed streams through the program: to files, pipes and other hosts, and back. */

import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { offlineSource } from '../helpers/devices/offline-source.js';
import { assertFails, assertSucceeds, lvmsync, runTool } from '../helpers/program/cli.js';
import { loginShell } from '../helpers/remote/fake-rsh.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';
import { receiveAsOriginal } from '../helpers/streams/original-receiver.js';

const fixture = new RemoteFixture();
const MIB = 2 ** 20;

function dumped(name: string, ...options: string[]): string {
  const result = lvmsync([...fixture.source, '--stdout', ...options]);
  assertSucceeds(result);
  const path = fixture.path(name);
  writeFileSync(path, result.stdout);
  return path;
}

function lz4(words: readonly string[], input: Buffer): Buffer {
  const { status, stdout, stderr } = runTool(['lz4', ...words, '-c'], { input });
  assert.equal(status, 0, stderr);
  return stdout;
}

describe('a compressed stream', () => {
  const plain = dumped('plain');
  const compressed = dumped('compressed', '--compress');

  test('is smaller, and applied like a plain one', () => {
    assert.ok(statSync(compressed).size < 0.9 * statSync(plain).size);
    const copy = fixture.copy();
    const snapback = `${copy}.undo`;
    assertSucceeds(lvmsync(['--apply', compressed, '-b', snapback, copy]));
    assert.ok(fixture.isSynced(copy));
    assertSucceeds(lvmsync(['--apply', snapback, copy]));
    assert.ok(fixture.isUntouched(copy));
  });

  test('is applied from a pipe', () => {
    const copy = fixture.copy();
    assertSucceeds(lvmsync(['--apply', '-', copy], { input: readFileSync(compressed) }));
    assert.ok(fixture.isSynced(copy));
  });

  test('becomes a plain one by lz4 -d', () => {
    const copy = fixture.copy();
    const input = lz4(['-d'], readFileSync(compressed));
    assertSucceeds(lvmsync(['--apply', '-', copy], { input }));
    assert.ok(fixture.isSynced(copy));
  });

  for (const words of [['-1'], ['-9', '-B4'], ['-BX', '--content-size']]) {
    test(`may be made by lz4 ${words.join(' ')}`, () => {
      const copy = fixture.copy();
      const input = lz4(words, readFileSync(plain));
      assertSucceeds(lvmsync(['--apply', '-', copy], { input }));
      assert.ok(fixture.isSynced(copy));
    });
  }

  test('of the original’s form feeds an original through lz4 -d', () => {
    const classic = dumped('classic', '--format', 'classic', '--compress=lz4');
    const stream = lz4(['-d'], readFileSync(classic));
    assert.ok(stream.equals(readFileSync(dumped('plain-classic', '--format', 'classic'))));
  });

  test('is refused where a part of it is damaged, or missing', () => {
    const copy = fixture.copy();
    const bytes = readFileSync(compressed);
    const damaged = Buffer.from(bytes);
    const middle = damaged.length >> 1;
    // More than a bit: LZ4 can say the same in two ways that differ by one.
    for (let at = middle; at < middle + 64; at++) damaged[at] = 255 - (damaged[at] ?? 0);
    assertFails(lvmsync(['--apply', '-', copy], { input: damaged }), 15, /LZ4|hash|record/);
    const cut = bytes.subarray(0, bytes.length - 1);
    assertFails(lvmsync(['--apply', '-', copy], { input: cut }), 14, /cut off inside an LZ4 frame/);
    const linked = lz4(['-BD', '-B4'], readFileSync(plain));
    assertFails(lvmsync(['--apply', '-', copy], { input: linked }), 15, /lz4 -BD/);
  });

  test('of a snapback undoes its run; of one that was cut off it is to be decompressed first', () => {
    const copy = fixture.copy();
    const snapback = `${copy}.undo`;
    assertSucceeds(lvmsync(['--apply', plain, '-b', snapback, copy]));
    const bytes = readFileSync(snapback);
    const torn = lz4([], bytes.subarray(0, bytes.length - 100));
    assertFails(lvmsync(['--apply', '-', copy], { input: torn }), 15, /uncompressed/);
    assertSucceeds(lvmsync(['--apply', '-', copy], { input: lz4([], bytes) }));
    assert.ok(fixture.isUntouched(copy));
  });
});

describe('towards another host', () => {
  test('--compress=lz4 compresses from the first byte', () => {
    const copy = fixture.copy();
    const rsh = fixture.rsh(`tee ${fixture.path('wire')} | ${loginShell()}`);
    assertSucceeds(fixture.send(rsh, copy, '--compress=lz4', '--require-ack'));
    assert.ok(fixture.isSynced(copy));
    assert.equal(readFileSync(fixture.path('wire')).readUInt32LE(0), 0x184d2204);
  });

  test('--compress begins plain, and compresses where the link is slow', () => {
    const source = offlineSource(fixture.folder, {
      size: 48 * MIB,
      changedChunks: Array.from({ length: 12_000 }, (_, i) => i),
    });
    const copy = fixture.path('slow-copy');
    writeFileSync(copy, source.former);
    const wire = fixture.path('slow-wire');
    const pipe = fixture.path('throttle.cjs');
    writeFileSync(pipe, THROTTLE, { mode: 0o755 });
    const rsh = fixture.rsh(`${process.execPath} ${pipe} | tee ${wire} | ${loginShell()}`);
    const words = ['-v', '--compress', '--require-ack', '-e', rsh.command, `backup:${copy}`];
    const result = lvmsync([...source.words, ...words]);
    assertSucceeds(result);
    assert.match(result.stderr, /the link limits the run: compressing from here/);
    assert.ok(readFileSync(copy).equals(source.content));
    const sent = statSync(wire).size;
    assert.ok(sent > 16 * MIB && sent < 40 * MIB, `${sent} bytes were sent`);
  });

  test('--compress stays plain for an original', () => {
    const copy = fixture.copy();
    const stream = fixture.path('for-original');
    const rsh = fixture.rsh(`cat > ${stream}`);
    assertSucceeds(fixture.send(rsh, copy, '--compress'));
    const received = receiveAsOriginal({
      stream: readFileSync(stream),
      destination: fixture.snapshot,
      kind: 'file',
    });
    assert.ok(received.destination.equals(fixture.origin));
  });
});

test('a local run has nothing to compress', () => {
  const copy = fixture.copy();
  const result = lvmsync([...fixture.source, '--compress', copy]);
  assertFails(result, 1, /--compress needs a remote host, or --stdout/);
});

test('--bwlimit holds a run below its rate', () => {
  const copy = fixture.copy();
  const started = performance.now();
  assertSucceeds(lvmsync([...fixture.source, '--bwlimit', '500K', copy]));
  const seconds = (performance.now() - started) / 1000;
  assert.ok(fixture.isSynced(copy));
  const bytes = statSync(dumped('size', '--format', 'classic')).size;
  assert.ok(seconds > (0.8 * bytes) / (500 * 1024), `${bytes} bytes in ${seconds} s`);
});

/** Passes its input on, at most 20 MB a second. */
const THROTTLE = `
const { readSync, writeSync } = require('node:fs');
const buffer = Buffer.alloc(256 * 1024);
for (;;) {
  const count = readSync(0, buffer);
  if (count === 0) break;
  for (let at = 0; at < count; ) at += writeSync(1, buffer, at, count - at);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, count / 20000);
}
`;

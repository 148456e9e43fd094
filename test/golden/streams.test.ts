/** Our decoder, sender and receiver against what the original left behind. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assertSucceeds, lvmsync } from '../helpers/program/cli.js';
import { readGoldenImage } from '../helpers/golden.js';
import { receiveAsOriginal } from '../helpers/streams/original-receiver.js';
import { scratchFolder } from '../helpers/scratch.js';
import { CLASSIC_HANDSHAKE, dataRecordsOf, type StreamRecord } from '../helpers/streams/stream-parts.js';

const folder = scratchFolder();
let files = 0;

/** A file of its own with that content. */
function fileOf(content: Buffer): string {
  const path = join(folder, `file-${files++}`);
  writeFileSync(path, content);
  return path;
}

function freshName(): string {
  return join(folder, `file-${files++}`);
}

interface Golden {
  readonly origin: Buffer;
  readonly snapshot: Buffer;
  readonly originPath: string;
  readonly cowStore: string;
}

function golden(name: string): Golden {
  const origin = readGoldenImage(`${name}/origin.img`);
  return {
    origin,
    snapshot: readGoldenImage(`${name}/snapshot.img`),
    originPath: fileOf(origin),
    cowStore: fileOf(readGoldenImage(`${name}/cow-store.img`)),
  };
}

function dump({ cowStore, originPath }: Golden, ...options: string[]): Buffer {
  const words = ['--cow-store', cowStore, '--data-source', originPath, '--stdout', ...options];
  const result = lvmsync(words, { stdio: ['ignore', 'pipe', 'pipe'] });
  assertSucceeds(result);
  return result.stdout;
}

function applied(stream: Buffer, to: Buffer, ...options: string[]): Buffer {
  const destination = fileOf(to);
  assertSucceeds(lvmsync(['--apply', fileOf(stream), ...options, destination]));
  return readFileSync(destination);
}

/** As the original reads it, and must read it without complaint. */
function receivedByOriginal(stream: Buffer, to: Buffer): { content: Buffer; snapback: Buffer } {
  for (const kind of ['file', 'block'] as const) {
    const { status, pastEnd } = receiveAsOriginal({ stream, destination: to, kind });
    assert.deepEqual([status, pastEnd], [0, 0]);
  }
  const { destination, snapback } = receiveAsOriginal({ stream, destination: to, kind: 'block' });
  return { content: destination, snapback };
}

function sorted(records: readonly StreamRecord[]): readonly StreamRecord[] {
  return [...records].sort((a, b) => a.offset - b.offset);
}

function same(actual: Buffer, expected: Buffer, what: string): void {
  if (actual.equals(expected)) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.fail(`${what}: ${actual.length} and ${expected.length} bytes, different at byte ${at}`);
}

describe('thick-4k, against the stream and the snapback of the original', () => {
  const data = golden('thick-4k');
  const original = readGoldenImage('thick-4k/stream');
  const originalSnapback = readGoldenImage('thick-4k/snapback');

  test('the decoder finds exactly the extents of the original stream', () => {
    const bytes = (stream: Buffer): number[] =>
      dataRecordsOf(stream).flatMap(({ offset, data: { length } }) =>
        Array.from({ length: length / 4096 }, (_, i) => offset + i * 4096),
      );
    const ascending = bytes(original).sort((a, b) => a - b);
    assert.equal(ascending.length, 71);
    assert.deepEqual(bytes(dump(data)), ascending);
  });

  test('--format=classic has the records of the original stream, in ascending order', () => {
    const ours = dump(data, '--format=classic');
    assert.deepEqual(dataRecordsOf(ours), sorted(dataRecordsOf(original)));
    assert.equal(ours.length, original.length);
    assert.ok(ours.subarray(0, CLASSIC_HANDSHAKE.length).equals(CLASSIC_HANDSHAKE));
  });

  test('a sync makes the origin of the snapshot image, and its snapback undoes that', () => {
    const destination = fileOf(data.snapshot);
    const snapback = freshName();
    const source = ['--cow-store', data.cowStore, '--data-source', data.originPath];
    assertSucceeds(lvmsync([...source, '--snapback', snapback, destination]));
    same(readFileSync(destination), data.origin, 'synced');
    assertSucceeds(lvmsync(['--apply', snapback, destination]));
    same(readFileSync(destination), data.snapshot, 'rolled back');
  });

  test('the original stream makes the origin of the snapshot image', () => {
    same(applied(original, data.snapshot), data.origin, 'applied');
  });

  test('the snapback we write while applying it undoes it, read by us or by the original', () => {
    const snapback = freshName();
    same(applied(original, data.snapshot, '--snapback', snapback), data.origin, 'applied');
    const stream = readFileSync(snapback);
    // On a copy of what it was made of.
    same(applied(stream, data.origin, '--force'), data.snapshot, 'rolled back by us');
    same(receivedByOriginal(stream, data.origin).content, data.snapshot, 'by the original');
  });

  test('the snapback that the original wrote undoes it', () => {
    same(applied(originalSnapback, data.origin), data.snapshot, 'rolled back');
  });

  for (const [what, options] of [
    ['framed', []],
    ['classic', ['--format=classic']],
  ] as const) {
    test(`our ${what} stream makes the origin, applied by us or by the original`, () => {
      const stream = dump(data, ...options);
      same(applied(stream, data.snapshot), data.origin, 'by us');
      same(receivedByOriginal(stream, data.snapshot).content, data.origin, 'by the original');
    });
  }

  test('what the original saved while it applied our classic stream undoes it with either', () => {
    const stream = dump(data, '--format=classic');
    const { snapback } = receivedByOriginal(stream, data.snapshot);
    same(receivedByOriginal(snapback, data.origin).content, data.snapshot, 'by the original');
    same(applied(snapback, data.origin), data.snapshot, 'by us');
  });

  test('what the original saved while it applied our stream for a peer undoes it with either', () => {
    const stream = asWire(dump(data));
    same(applied(stream, data.snapshot), data.origin, 'applied by us');
    const { content, snapback } = receivedByOriginal(stream, data.snapshot);
    same(content, data.origin, 'applied by the original');
    assert.ok(snapback.subarray(0, CLASSIC_HANDSHAKE.length).equals(CLASSIC_HANDSHAKE));
    same(receivedByOriginal(snapback, data.origin).content, data.snapshot, 'by the original');
    same(applied(snapback, data.origin), data.snapshot, 'by us');
  });

  test('what the original saved while it applied our stored stream is refused, not misread', () => {
    // The hashes that it copied belong to the new bytes, not to the old ones it saved.
    const { snapback } = receivedByOriginal(dump(data), data.snapshot);
    const destination = fileOf(data.origin);
    const result = lvmsync(['--apply', fileOf(snapback), destination]);
    assert.equal(result.status, 15, result.stderr);
    same(readFileSync(destination), data.origin, 'untouched');
    same(receivedByOriginal(snapback, data.origin).content, data.snapshot, 'by the original');
  });
});

describe('thick-64k, where the original fails', () => {
  const data = golden('thick-64k');

  test('a sync makes the origin of the snapshot image, and its snapback undoes that', () => {
    const destination = fileOf(data.snapshot);
    const snapback = freshName();
    const source = ['--cow-store', data.cowStore, '--data-source', data.originPath];
    assertSucceeds(lvmsync([...source, '--snapback', snapback, destination]));
    same(readFileSync(destination), data.origin, 'synced');
    assertSucceeds(lvmsync(['--apply', snapback, destination]));
    same(readFileSync(destination), data.snapshot, 'rolled back');
  });

  test('the stream covers every difference, and nothing the store does not name', () => {
    const records = dataRecordsOf(dump(data));
    const content = Buffer.from(data.snapshot);
    for (const { offset, data: bytes } of records) {
      assert.deepEqual([offset % 65536, bytes.length % 65536], [0, 0]);
      bytes.copy(content, offset);
    }
    same(content, data.origin, 'patched');
  });
});

describe('thin-64k, whose stream the original wrote', () => {
  test('it makes the origin of the snapshot image, and can be undone', () => {
    const origin = readGoldenImage('thin-64k/origin.img');
    const snapshot = readGoldenImage('thin-64k/snapshot.img');
    const snapback = freshName();
    const stream = readGoldenImage('thin-64k/stream');
    same(applied(stream, snapshot, '--snapback', snapback), origin, 'applied');
    same(applied(readFileSync(snapback), origin, '--force'), snapshot, 'rolled back');
  });
});

/** A stored stream as a sender would give it to a peer: another kind in HELLO, another line end. */
function asWire(stream: Buffer): Buffer {
  const wire = Buffer.from(stream);
  const helloWords = CLASSIC_HANDSHAKE.length;
  const words = wire.readUInt16BE(helloWords + 2 * 12 + 6);
  // The kind is the high byte of the first payload word; wire is 1.
  wire.writeUInt8(1, helloWords + 3 * 12 + 6);
  const covered = wire.subarray(helloWords, helloWords + (3 + words) * 12);
  const checksum = crc32c(covered);
  wire.writeUInt16BE(checksum >>> 16, helloWords + (3 + words) * 12 + 6);
  wire.writeUInt16BE(checksum & 0xffff, helloWords + (4 + words) * 12 + 6);
  return Buffer.concat([Buffer.from('lvmsync PROTO[3]\r\n'), wire.subarray(helloWords)]);
}

/** CRC-32C, bit by bit. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

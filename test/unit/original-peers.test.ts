/** The stand-ins for the original lvmsync, against what the original itself made and did. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readGoldenImage } from '../helpers/golden.js';
import { receiveAsOriginal } from '../helpers/streams/original-receiver.js';
import { sendAsOriginal } from '../helpers/streams/original-sender.js';

const HANDSHAKE = Buffer.from('lvmsync PROTO[3]\n');

function header(offset: number | bigint, length: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeBigUInt64BE(BigInt(offset));
  bytes.writeUInt32BE(length, 8);
  return bytes;
}

function recordHeaders(stream: Buffer): { offset: number; length: number }[] {
  const found: { offset: number; length: number }[] = [];
  for (let position = HANDSHAKE.length; position < stream.length; ) {
    const offset = Number(stream.readBigUInt64BE(position));
    const length = stream.readUInt32BE(position + 8);
    found.push({ offset, length });
    position += 12 + length;
  }
  return found;
}

for (const [folder, chunkSize, records] of [
  ['thick-4k', 4096, 71],
  ['thin-64k', 65536, 15],
] as const) {
  test(`${folder}: the sender writes the recorded stream, the receiver makes the recorded origin`, () => {
    const stream = readGoldenImage(`${folder}/stream`);
    const origin = readGoldenImage(`${folder}/origin.img`);
    const snapshot = readGoldenImage(`${folder}/snapshot.img`);
    const headers = recordHeaders(stream);
    assert.equal(headers.length, records);
    const offsets = headers.map(({ offset }) => offset);
    assert.ok(sendAsOriginal({ chunkSize, offsets, source: origin }).equals(stream));
    const before = Buffer.from(snapshot);
    for (const kind of ['block', 'file'] as const) {
      const result = receiveAsOriginal({ stream, destination: snapshot, kind });
      assert.deepEqual([result.status, result.pastEnd], [0, 0]);
      assert.ok(result.destination.equals(origin));
      assert.ok(snapshot.equals(before));
    }
  });
}

test('thick-4k: the receiver leaves the recorded snapback, which restores the recorded snapshot', () => {
  const stream = readGoldenImage('thick-4k/stream');
  const origin = readGoldenImage('thick-4k/origin.img');
  const snapshot = readGoldenImage('thick-4k/snapshot.img');
  const snapback = readGoldenImage('thick-4k/snapback');
  const forward = receiveAsOriginal({ stream, destination: snapshot, kind: 'block' });
  assert.ok(forward.snapback.equals(snapback));
  const back = receiveAsOriginal({ stream: snapback, destination: origin, kind: 'block' });
  assert.ok(back.destination.equals(snapshot));
});

test('a last chunk cut by the end of the source damages the stream behind it, unnoticed', () => {
  const source = Buffer.from('aaaabbbbcc');
  const stream = sendAsOriginal({ chunkSize: 4, offsets: [8, 0], source });
  assert.equal(stream.length, HANDSHAKE.length + 2 * 12 + 4 + 2);
  assert.deepEqual(recordHeaders(stream)[0], { offset: 8, length: 4 });
  const destination = Buffer.from('zzzzzzzzzz');
  const result = receiveAsOriginal({ stream, destination, kind: 'file' });
  assert.equal(result.status, 0);
  assert.notEqual(result.destination.toString('latin1', 0, 10), source.toString());
});

interface Behaviour {
  readonly what: string;
  readonly handshake?: string;
  readonly body: readonly (Buffer | string)[];
  readonly kind?: 'block' | 'file';
  readonly status?: 0 | 1;
  /** Default: unchanged, `0123456789`. */
  readonly destination?: string;
  /** Behind its handshake. Default: nothing. */
  readonly snapback?: readonly (Buffer | string)[];
  readonly pastEnd?: number;
}

const behaviours: Behaviour[] = [
  {
    what: 'a handshake that ends in CRLF is accepted, the snapback has LF',
    handshake: 'lvmsync PROTO[3]\r\n',
    body: [header(1, 2), 'XY'],
    destination: '0XY3456789',
    snapback: [header(1, 2), '12'],
  },
  { what: 'a handshake without its newline is accepted', handshake: 'lvmsync PROTO[3]', body: [] },
  {
    what: 'a record of length 0 changes nothing; its header goes into the snapback',
    body: [header(5, 0), header(10, 0), header(2, 1), 'X'],
    destination: '01X3456789',
    snapback: [header(5, 0), header(10, 0), header(2, 1), '2'],
  },
  {
    what: 'past the end of a block device a record of length 0 is passed over aloud',
    body: [header(11, 0)],
    pastEnd: 1,
  },
  {
    what: 'past the end of a file a record of length 0 is a no-op',
    kind: 'file',
    body: [header(2n ** 62n, 0)],
    snapback: [header(2n ** 62n, 0)],
  },
  { what: 'an offset of 2^63 ends it', body: [header(2n ** 63n, 0)], status: 1 },
  {
    what: 'data at the very end of a block device fail and leave a header without data',
    body: [header(10, 2), 'XY'],
    status: 1,
    snapback: [header(10, 2)],
  },
  {
    what: 'data past the end of a block device are passed over, what follows is applied',
    body: [header(11, 2), 'XY', header(0, 1), 'Z'],
    destination: 'Z123456789',
    snapback: [header(0, 1), '0'],
    pastEnd: 1,
  },
  {
    what: 'data across the end of a block device are written in part',
    body: [header(8, 4), 'WXYZ'],
    status: 1,
    destination: '01234567WX',
    snapback: [header(8, 4), '89'],
  },
  {
    what: 'data past the end of a file make it grow, and the snapback short',
    kind: 'file',
    body: [header(8, 4), 'WXYZ', header(13, 1), 'A'],
    destination: '01234567WXYZ\0A',
    snapback: [header(8, 4), '89', header(13, 1)],
  },
  { what: 'an end within the first 8 bytes of a header fails', body: ['1234567'], status: 1 },
  {
    what: 'an end after 8 bytes of a header succeeds and saves the rest of the device',
    body: [header(4, 0).subarray(0, 8)],
    snapback: [header(4, 0).subarray(0, 8), '456789'],
  },
  {
    what: 'an end within the data succeeds',
    body: [header(0, 4), 'AB'],
    destination: 'AB23456789',
    snapback: [header(0, 4), '0123'],
  },
  {
    what: 'an absurd length takes what there is',
    body: [header(8, 0xffffffff), 'X'],
    destination: '01234567X9',
    snapback: [header(8, 0xffffffff), '89'],
  },
  {
    what: 'of two records at one offset the second wins, and its saved bytes are the first ones',
    body: [header(0, 1), 'A', header(0, 1), 'B'],
    destination: 'B123456789',
    snapback: [header(0, 1), '0', header(0, 1), 'A'],
  },
];

for (const given of behaviours) {
  test(`original receiver: ${given.what}`, () => {
    const pieces = [given.handshake ?? HANDSHAKE, ...given.body];
    const result = receiveAsOriginal({
      stream: Buffer.concat(pieces.map((piece) => Buffer.from(piece))),
      destination: Buffer.from('0123456789'),
      kind: given.kind ?? 'block',
    });
    assert.equal(result.status, given.status ?? 0);
    assert.equal(result.destination.toString('latin1'), given.destination ?? '0123456789');
    const saved = [HANDSHAKE, ...(given.snapback ?? [])].map((piece) => Buffer.from(piece));
    assert.equal(result.snapback.toString('hex'), Buffer.concat(saved).toString('hex'));
    assert.equal(result.pastEnd, given.pastEnd ?? 0);
  });
}

for (const handshake of [
  'lvmsync PROTO[2]\n',
  'lvmsync PROTO[3] \n',
  'lvmsync PROTO[3]\r\r\n',
  '',
]) {
  test(`original receiver: the handshake ${JSON.stringify(handshake)} fails, the snapback stays empty`, () => {
    const stream = Buffer.concat([Buffer.from(handshake), header(0, 1), Buffer.from('X')]);
    const destination = Buffer.from('0123456789');
    const result = receiveAsOriginal({ stream, destination, kind: 'block' });
    assert.deepEqual([result.status, result.snapback.length], [1, 0]);
    assert.ok(result.destination.equals(destination));
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LvmsyncError } from '../../../src/base/errors.js';
import {
  type Abort,
  decodeAbort,
  decodeEnd,
  decodeHello,
  type End,
  encodeAbort,
  encodeEnd,
  encodeHello,
  type Hello,
  STREAM_KINDS,
} from '../../../src/stream/control-frame.js';

const id = fc.uint8Array({ minLength: 16, maxLength: 16 });
const uint16 = fc.nat(0xffff);
const bytes = fc.maxSafeNat();
const text = fc.string({ unit: 'grapheme', maxLength: 60 });

const someHello: fc.Arbitrary<Hello> = fc.record({
  kind: fc.constantFrom(...STREAM_KINDS),
  streamId: id,
  setId: id,
  streamIndex: uint16,
  streamCount: uint16,
  deviceSize: bytes,
  sorted: fc.boolean(),
  totalBytes: fc.option(bytes, { nil: undefined }),
  attributes: fc.record(
    {
      deviceIdentity: text,
      devicePath: text,
      fromPoint: text,
      toPoint: text,
      machineId: text,
      createdAt: text,
      program: text,
      formerSize: text,
      toTime: text,
      fromTime: text,
      previousLink: text,
      countedLink: text,
      countedBytes: text,
      countedHash: text,
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
});

const someEnd: fc.Arbitrary<End> = fc.record({
  streamTag: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  groups: bytes,
  records: bytes,
  bytes,
  digest: id,
  sourceChanged: fc.boolean(),
});

const someAbort: fc.Arbitrary<Abort> = fc.record(
  { exitStatus: uint16, message: text },
  { noNullPrototype: true },
);

/** A frame carries whole words: a payload of odd length arrives with a zero byte behind it. */
function asReceived(payload: Uint8Array): Uint8Array {
  return Buffer.concat([payload, Buffer.alloc(payload.length % 2)]);
}

function plain<T extends object>(value: T): object {
  const entries = Object.entries(value).map(([key, field]) => [
    key,
    field instanceof Uint8Array ? Buffer.from(field).toString('hex') : field,
  ]);
  return Object.fromEntries(entries);
}

const HELLO: Hello = {
  kind: 'file',
  streamId: new Uint8Array(16).fill(0xab),
  setId: new Uint8Array(16).fill(0xcd),
  streamIndex: 1,
  streamCount: 1,
  deviceSize: 2 ** 30,
  sorted: true,
  totalBytes: undefined,
  attributes: { devicePath: '/dev/vg/lv' },
};

test('what HELLO says comes back as it was', () => {
  fc.assert(
    fc.property(someHello, (hello) => {
      assert.deepEqual(plain(decodeHello(asReceived(encodeHello(hello)))), plain(hello));
    }),
  );
});

test('what END says comes back as it was', () => {
  fc.assert(
    fc.property(someEnd, (end) => {
      assert.deepEqual(plain(decodeEnd(asReceived(encodeEnd(end)))), plain(end));
    }),
  );
});

test('what ABORT says comes back as it was', () => {
  fc.assert(
    fc.property(someAbort, (abort) => {
      assert.deepEqual(decodeAbort(asReceived(encodeAbort(abort))), abort);
    }),
  );
});

test('a long message or attribute is cut, so that every frame keeps within its bounds', () => {
  const message = 'x'.repeat(100_000);
  assert.equal(
    decodeAbort(asReceived(encodeAbort({ exitStatus: 11, message }))).message.length,
    512,
  );
  const attributes = Object.fromEntries(
    [
      'deviceIdentity',
      'devicePath',
      'fromPoint',
      'toPoint',
      'machineId',
      'createdAt',
      'program',
    ].map((name) => [name, message]),
  );
  const payload = encodeHello({ ...HELLO, attributes });
  assert.ok(payload.length <= 2 * 4096, `${payload.length} bytes`);
  assert.equal(decodeHello(asReceived(payload)).attributes.program?.length, 1024);
});

test('an attribute that is not known here is passed over', () => {
  const known = encodeHello({ ...HELLO, attributes: { program: 'lvmsync 9' } });
  const unknown = Buffer.from([0x7f, 0x01, 0x00, 0x03, 1, 2, 3, 0]);
  const fixed = known.subarray(0, 60);
  const decoded = decodeHello(Buffer.concat([fixed, unknown, known.subarray(60)]));
  assert.deepEqual(decoded.attributes, { program: 'lvmsync 9' });
});

interface Refusal {
  readonly what: string;
  readonly change: (payload: Buffer) => Buffer;
  readonly message: RegExp;
}

const refusals: Refusal[] = [
  { what: 'no payload', change: () => Buffer.alloc(0), message: /too short/ },
  { what: 'a short payload', change: (p) => p.subarray(0, 58), message: /too short/ },
  { what: 'kind 0', change: (p) => put(p, 0, 0), message: /unknown kind 0/ },
  { what: 'kind 4', change: (p) => put(p, 0, 4), message: /unknown kind 4/ },
  { what: 'another hash', change: (p) => put(p, 1, 2), message: /hash algorithm 2/ },
  { what: 'a size beyond 2^53', change: (p) => put(p, 40, 0x7f), message: /impossible number/ },
  { what: 'an attribute longer than it is', change: (p) => put(p, 63, 99), message: /is cut/ },
];

function put(payload: Buffer, at: number, byte: number): Buffer {
  payload.writeUInt8(byte, at);
  return payload;
}

for (const { what, change, message } of refusals) {
  test(`a HELLO with ${what} is refused as damage`, () => {
    const payload = change(Buffer.from(encodeHello(HELLO)));
    assert.throws(
      () => decodeHello(payload),
      (error) => {
        assert.ok(error instanceof LvmsyncError);
        assert.equal(error.exitStatus, 15);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test('a short END or ABORT is refused as damage', () => {
  assert.throws(() => decodeEnd(Buffer.alloc(48)), /too short/);
  assert.throws(() => decodeAbort(Buffer.alloc(2)), /too short/);
});

test('the message of an ABORT ends where its frame ends, whatever length it claims', () => {
  assert.equal(decodeAbort(Buffer.from([0, 11, 0xff, 0xff, 0x68, 0x69])).message, 'hi');
});

test('random payloads are decoded or refused, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
      for (const decode of [decodeHello, decodeEnd, decodeAbort]) {
        try {
          decode(payload);
        } catch (error) {
          assert.ok(error instanceof LvmsyncError, String(error));
        }
      }
    }),
  );
});

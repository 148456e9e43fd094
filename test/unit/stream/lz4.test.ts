import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { compressFrame } from 'lz4-napi';
import { LvmsyncError } from '../../../src/base/errors.js';
import { inOrder } from '../../../src/base/in-order.js';
import { compressGroup, decompress } from '../../../src/stream/lz4.js';
import { storedFrame } from '../../../src/stream/lz4-frame.js';
import { Random } from '../../helpers/random.js';

const MIB = 2 ** 20;
const random = new Random();

/** Half of it repeats. */
function compressible(length: number): Buffer {
  const bytes = randomFillSync(Buffer.alloc(length));
  for (let at = 0; at + 64 <= length; at += 64) bytes.copy(bytes, at + 32, at, at + 32);
  return bytes;
}

function incompressible(length: number): Buffer {
  return randomFillSync(Buffer.alloc(length));
}

async function* piecesOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function decompressed(bytes: Uint8Array, size = 100_000): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of decompress(piecesOf(bytes, size), 'input')) parts.push(part);
  return Buffer.concat(parts);
}

async function statusOf(bytes: Uint8Array): Promise<number> {
  try {
    await decompressed(bytes);
    return 0;
  } catch (error) {
    assert.ok(error instanceof LvmsyncError, String(error));
    return error.exitStatus;
  }
}

function lz4(words: readonly string[], input: Uint8Array): Buffer {
  const { status, stdout, stderr } = spawnSync('lz4', [...words], { input, maxBuffer: 2 ** 28 });
  assert.equal(status, 0, String(stderr));
  return stdout;
}

describe('compressGroup', () => {
  const contents: readonly (readonly [string, Buffer])[] = [
    ['data that shrink', compressible(3 * MIB)],
    ['data that do not', incompressible(3 * MIB)],
    ['more than a block', incompressible(4 * MIB + 12_345)],
    ['data of which a part shrinks', Buffer.concat([incompressible(MIB), Buffer.alloc(2 * MIB)])],
    ['a few bytes', Buffer.from('lvmsync PROTO[3]\n')],
    ['a group smaller than a sample', compressible(50_000)],
  ];
  for (const [what, bytes] of contents) {
    test(`makes a frame of ${what} that lz4 reads, and we do`, async () => {
      const frame = Buffer.concat(await compressGroup(bytes));
      assert.ok(lz4(['-d'], frame).equals(bytes));
      assert.ok((await decompressed(frame)).equals(bytes));
    });
  }

  test('shrinks what can be shrunk, and adds next to nothing to what cannot', async () => {
    const length = async (bytes: Buffer) => Buffer.concat(await compressGroup(bytes)).length;
    assert.ok((await length(compressible(MIB))) < 0.6 * MIB);
    assert.ok((await length(incompressible(MIB))) <= MIB + 15);
  });

  test('is not misled where only the sample shrinks', async () => {
    const bytes = incompressible(MIB);
    const step = Math.floor((MIB - 4096) / 15);
    for (let i = 0; i < 16; i++) bytes.fill(0, i * step, i * step + 4096);
    assert.ok((await decompressed(Buffer.concat(await compressGroup(bytes)))).equals(bytes));
  });
});

describe('decompress', () => {
  test('reads frames that follow one another, however they are cut', async () => {
    const groups = [compressible(7000), incompressible(30_000), Buffer.from('x')];
    const frames: Uint8Array[] = [];
    for (const group of groups) frames.push(...(await compressGroup(group)));
    const stream = Buffer.concat(frames);
    for (const size of [7, 4096, stream.length]) {
      assert.ok((await decompressed(stream, size)).equals(Buffer.concat(groups)), `${size}`);
    }
  });

  for (const words of [
    [],
    ['-B4'],
    ['-B7', '--no-frame-crc'],
    ['-BX', '--content-size'],
    ['-9'],
  ] as const) {
    test(`reads what lz4 ${words.join(' ')} writes`, async () => {
      const bytes = Buffer.concat([compressible(9 * MIB), incompressible(MIB + 1)]);
      assert.ok((await decompressed(lz4([...words, '-c'], bytes))).equals(bytes));
    });
  }

  test('reads nothing out of nothing, and passes over what may be skipped', async () => {
    assert.equal((await decompressed(Buffer.alloc(0))).length, 0);
    const skippable = Buffer.concat([Buffer.from('5a2a4d1803000000', 'hex'), Buffer.from('abc')]);
    const stream = Buffer.concat([skippable, ...storedFrame(Buffer.from('x')), skippable]);
    assert.equal(String(await decompressed(stream)), 'x');
  });

  test('refuses by name what it cannot read', async () => {
    const linked = lz4(['-BD', '-B4', '-c'], compressible(MIB));
    await assert.rejects(decompressed(linked), /depend on one another \(lz4 -BD\)/);
    const legacy = lz4(['-l', '-c'], compressible(MIB));
    await assert.rejects(
      decompressed(Buffer.concat([...storedFrame(legacy)].slice(0, 1).concat(legacy))),
    );
    await assert.rejects(
      decompressed(Buffer.concat([...storedFrame(Buffer.from('x')), Buffer.from('more')])),
      /the data after an LZ4 frame is not another frame/,
    );
  });

  test('notices every cut', async () => {
    const first = Buffer.concat(await compressGroup(compressible(3000)));
    const stream = Buffer.concat([first, ...storedFrame(incompressible(500))]);
    for (let length = 1; length < stream.length; length++) {
      const expected = length === first.length ? 0 : 14;
      assert.equal(await statusOf(stream.subarray(0, length)), expected, `cut at ${length}`);
    }
  });

  test('notices every flipped bit of a compressed frame that changes anything', async () => {
    const bytes = compressible(700);
    const stream = await compressFrame(bytes, { contentChecksum: true });
    for (let bit = 0; bit < stream.length * 8; bit++) {
      const flipped = Buffer.from(stream);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const status = await statusOf(flipped);
      // Some bytes can be copied from several places.
      if (status === 0) assert.ok((await decompressed(flipped)).equals(bytes), `bit ${bit}`);
      else assert.ok([14, 15].includes(status), `bit ${bit}: ${status}`);
    }
  });

  test('never lets a block grow beyond what its frame allows', async () => {
    // 4 MiB of zeros in few bytes, in a frame that says 64 KiB.
    const bomb = Buffer.from(await compressFrame(Buffer.alloc(4 * MIB)));
    const block = bomb.subarray(7, 11 + (bomb.readUInt32LE(7) & 0x7fff_ffff));
    const small = Buffer.from(
      lz4(['-B4', '-c', '--no-frame-crc'], Buffer.from('x')).subarray(0, 7),
    );
    const stream = Buffer.concat([small, block, Buffer.alloc(4)]);
    assert.equal(await statusOf(stream), 15);
  });

  test('survives whatever is made of a stream', async () => {
    const stream = Buffer.concat(await compressGroup(compressible(2000)));
    for (let round = 0; round < 3000; round++) {
      const changed = Buffer.from(stream);
      for (let n = 0; n <= random.below(4); n++)
        changed[random.below(changed.length)] = random.below(256);
      await statusOf(changed);
    }
  });
});

test('inOrder holds nothing back while its input has nothing more', async () => {
  let goOn = (): void => undefined;
  const pause = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const items = async function* () {
    yield 1;
    yield 2;
    await pause;
    yield 3;
  };
  const results: number[] = [];
  for await (const result of inOrder(items(), 4, async (item) => item * 10)) {
    results.push(result);
    if (result === 20) goOn();
  }
  assert.deepEqual(results, [10, 20, 30]);
});

test('inOrder can be left while its input has nothing more', async () => {
  const items = async function* () {
    yield 1;
    await new Promise(() => undefined);
  };
  for await (const result of inOrder(items(), 4, async (item) => item)) {
    assert.equal(result, 1);
    break;
  }
});

test('inOrder keeps the order, bounds what is under way, and ends with the first failure', async () => {
  let running = 0;
  let most = 0;
  const work = async (item: number): Promise<number> => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, random.below(4)));
    running--;
    if (item === 17) throw new Error('seventeen');
    return item;
  };
  const items = async function* () {
    for (let item = 0; item < 30; item++) yield item;
  };
  const results: number[] = [];
  const run = async (): Promise<void> => {
    for await (const result of inOrder(items(), 3, work)) results.push(result);
  };
  await assert.rejects(run(), /seventeen/);
  assert.deepEqual(results, [...Array(17).keys()]);
  assert.equal(most, 3);
  assert.equal(running, 0);
});

import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LvmsyncError } from '../../../src/base/errors.js';
import {
  FileDevice,
  newSlab,
  type OpenDeviceOptions,
  SlabPool,
} from '../../../src/device/block-device.js';
import { identifyPath } from '../../../src/device/topology.js';
import { native } from '../../../src/host/native.js';
import { testBlockDevice } from '../../helpers/devices/block-device-suite.js';
import { MemoryDevice } from '../../helpers/devices/memory-device.js';
import { runTool } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';

native.selectEngine('auto');
const folders = { disk: scratchFolder('disk'), tmpfs: scratchFolder('memory') };
const folder = folders.disk;

test('a pool makes no more slabs than it may, each of its size and page-aligned length', async () => {
  const pool = new SlabPool(2, 8192);
  const first = await pool.lease();
  const second = await pool.lease();
  assert.notEqual(first, second);
  assert.deepEqual([first.byteLength, second.byteLength], [8192, 8192]);
  let third: ArrayBuffer | undefined;
  const waiting = pool.lease().then((slab) => {
    third = slab;
  });
  await nextTurn();
  assert.equal(third, undefined);
  pool.release(second);
  await waiting;
  assert.equal(third, second);
});

test('those who wait for a slab get it in the order in which they asked', async () => {
  const pool = new SlabPool(1, 4096);
  const slab = await pool.lease();
  const order: number[] = [];
  const waiting = [1, 2, 3].map(async (number) => {
    const leased = await pool.lease();
    order.push(number);
    await nextTurn();
    pool.release(leased);
  });
  pool.release(slab);
  await Promise.all(waiting);
  assert.deepEqual(order, [1, 2, 3]);
});

test('nobody overtakes one who waits', async () => {
  const pool = new SlabPool(1, 4096);
  const slab = await pool.lease();
  const order: string[] = [];
  const early = pool.lease().then((leased) => {
    order.push('early');
    pool.release(leased);
  });
  pool.release(slab);
  const late = pool.lease().then(() => order.push('late'));
  await Promise.all([early, late]);
  assert.deepEqual(order, ['early', 'late']);
});

for (const [place, path] of Object.entries(folders)) {
  testBlockDevice(`a file on ${place}`, async (t, content) => {
    const file = join(path, 'device');
    writeFileSync(file, content);
    const device = await FileDevice.open(file, { role: 'source', write: true });
    t.after(() => device.close());
    return { device, content: () => readFileSync(file) };
  });
}

testBlockDevice('memory', async (_, content) => {
  const device = new MemoryDevice(Buffer.from(content));
  return { device, content: () => device.content };
});

test('a device has the identity of what was opened, and the size of it', async () => {
  const file = join(folder, 'identity');
  writeFileSync(file, Buffer.alloc(12_345));
  const device = await FileDevice.open(file, { role: 'source' });
  assert.deepEqual(device.identity, identifyPath(file));
  assert.equal(device.size, 12_345);
  await device.close();
});

test('a file that grows reads as zeros behind its former end', async () => {
  const file = join(folder, 'grows');
  writeFileSync(file, 'head');
  const device = await FileDevice.open(file, { role: 'destination', write: true });
  await device.resize(10_000);
  assert.equal(device.size, 10_000);
  assert.equal(statSync(file).size, 10_000);
  await device.close();
  assert.ok(readFileSync(file).equals(Buffer.concat([Buffer.from('head'), Buffer.alloc(9996)])));
});

interface OpenRefusal {
  readonly what: string;
  readonly path: () => string;
  readonly options: OpenDeviceOptions;
  readonly status: number;
  readonly message: RegExp;
}

const unopened: OpenRefusal[] = [
  {
    what: 'a missing source',
    path: () => '/nowhere/at/all',
    options: { role: 'source' },
    status: 10,
    message: /^\/nowhere\/at\/all: cannot open: no such device or file \(ENOENT\)$/,
  },
  {
    what: 'a missing COW store',
    path: () => '/nowhere/at/all',
    options: { role: 'cowStore' },
    status: 10,
    message: /no such device or file/,
  },
  {
    what: 'a missing destination',
    path: () => '/nowhere/at/all',
    options: { role: 'destination', write: true },
    status: 12,
    message: /no such device or file/,
  },
  {
    what: 'a directory',
    path: () => {
      const path = join(folder, 'directory');
      mkdirSync(path, { recursive: true });
      return path;
    },
    options: { role: 'destination', write: true },
    status: 12,
    message: /directory: cannot open: it is a directory \(EISDIR\)$/,
  },
  {
    what: 'a fifo',
    path: () => {
      const path = join(folder, 'fifo');
      runTool(['mkfifo', path]);
      return path;
    },
    options: { role: 'source' },
    status: 10,
    message: /neither a block device nor a regular file/,
  },
  {
    what: 'a character device',
    path: () => '/dev/zero',
    options: { role: 'source' },
    status: 10,
    message: /neither a block device nor a regular file/,
  },
  {
    what: 'a file with more bytes than can be numbered',
    path: () => {
      const path = join(folders.tmpfs, 'huge');
      runTool(['truncate', '-s', '8P', path]);
      return path;
    },
    options: { role: 'destination', write: true },
    status: 12,
    message: /too large: it has 8 PiB or more/,
  },
];

for (const { what, path, options, status, message } of unopened) {
  test(`${what} cannot be opened, and the status says what it was to be`, async () => {
    await assert.rejects(FileDevice.open(path(), options), (error) => {
      assert.ok(error instanceof LvmsyncError);
      assert.equal(error.exitStatus, status);
      assert.match(error.message, message);
      return true;
    });
  });
}

test('a file that another writer has claimed is locked, until that one closes it', async () => {
  const file = join(folder, 'claimed');
  writeFileSync(file, '');
  const options = { role: 'destination', write: true, exclusive: true } as const;
  const first = await FileDevice.open(file, options);
  await assert.rejects(FileDevice.open(file, options), (error) => {
    assert.ok(error instanceof LvmsyncError);
    assert.equal(error.exitStatus, 19);
    return true;
  });
  await first.close();
  await (await FileDevice.open(file, options)).close();
});

interface IoFailure {
  readonly role: OpenDeviceOptions['role'];
  readonly status: number;
}

const failures: IoFailure[] = [
  { role: 'source', status: 11 },
  { role: 'cowStore', status: 11 },
  { role: 'destination', status: 13 },
];

for (const { role, status } of failures) {
  test(`reading a ${role} beyond its end names the device and the byte`, async () => {
    const file = join(folder, 'short');
    writeFileSync(file, Buffer.alloc(10_000));
    const device = await FileDevice.open(file, { role });
    const slab = native.allocateSlab(16_384);
    await assert.rejects(device.readBatch(slab, Float64Array.of(8192, 4096, 0)), (error) => {
      assert.ok(error instanceof LvmsyncError);
      assert.equal(error.exitStatus, status);
      assert.match(error.message, /short: read error at byte \d+ \(it ends there\)$/);
      return true;
    });
    await device.close();
  });
}

test('a device that was opened for reading cannot be written', async () => {
  const file = join(folder, 'read-only');
  writeFileSync(file, Buffer.alloc(8192));
  chmodSync(file, 0o400);
  const device = await FileDevice.open(file, { role: 'destination' });
  const slab = native.allocateSlab(4096);
  await assert.rejects(device.writeBatch(slab, Float64Array.of(4096, 4096, 0)), (error) => {
    assert.ok(error instanceof LvmsyncError);
    assert.match(error.message, /write error at byte 4096 \(EBADF/);
    return true;
  });
  await device.close();
});

test('closing waits for the work under way', async () => {
  const file = join(folder, 'busy');
  closeSync(openSync(file, 'w'));
  const device = await FileDevice.open(file, { role: 'destination', write: true });
  const slab = native.allocateSlab(1 << 20);
  const writing = device.writeBatch(slab, Float64Array.of(0, 1 << 20, 0));
  await Promise.all([writing, device.close()]);
  assert.equal(statSync(file).size, 1 << 20);
});

test('F37: memory that is not there is a failure like any other', () => {
  assert.throws(() => newSlab(2 ** 50), {
    exitStatus: 1,
    message: /^no memory for 1125899906842624 bytes/,
    hint: /ulimit -v/,
  });
});

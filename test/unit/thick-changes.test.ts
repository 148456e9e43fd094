import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileDevice } from '../../src/block-device.js';
import { LvmsyncError } from '../../src/errors.js';
import { native } from '../../src/native.js';
import {
  findLateFault,
  readOfflineStore,
  readThickChanges,
  type ThickEffects,
} from '../../src/thick-changes.js';
import { writeCowStore } from '../helpers/cow-store.js';
import { scratchFolder } from '../helpers/scratch.js';

type ThickSnapshot = Parameters<typeof readThickChanges>[0];
type SnapshotUsage = Awaited<ReturnType<ThickEffects['readStatus']>>;

const CHUNK = 4096;
const SECTORS = CHUNK / 512;
const ENTRIES_PER_AREA = CHUNK / 16;
const ORIGIN_SIZE = 4096 * CHUNK;
native.selectEngine('auto');
const folder = scratchFolder();
const originPath = join(folder, 'origin');
const cowPath = join(folder, 'cow');
writeFileSync(originPath, Buffer.alloc(ORIGIN_SIZE));

const snapshot: ThickSnapshot = {
  kind: 'thick',
  vgName: 'vg',
  lvName: 'snap',
  uuid: 'uuid-of-snap',
  dmName: 'vg-snap',
  snapshotPath: '/dev/mapper/vg-snap',
  cowPath,
  chunkSize: CHUNK,
  origin: { lvName: 'data', uuid: 'uuid-of-data', size: ORIGIN_SIZE, path: originPath },
  originSizeAtSnapshot: ORIGIN_SIZE,
};

/** What the kernel says of a store with that many exceptions. */
function usageOf(exceptions: number): SnapshotUsage {
  const areas = Math.floor(exceptions / ENTRIES_PER_AREA) + 1;
  return {
    allocatedSectors: (1 + areas + exceptions) * SECTORS,
    totalSectors: 1_000_000,
    metadataSectors: (1 + areas) * SECTORS,
  };
}

function firstChunks(count: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * 7) % 4096);
}

/** Reads the store on disk while the kernel counts as given, one answer after the other. */
async function read(counts: readonly SnapshotUsage[]) {
  const origin = await FileDevice.open(originPath, { role: 'source' });
  const cowStore = await FileDevice.open(cowPath, { role: 'cowStore' });
  const answers = [...counts];
  try {
    const readStatus = async (): Promise<SnapshotUsage> => answers.shift()!;
    const changes = await readThickChanges(snapshot, { origin, cowStore }, { readStatus });
    return { changes, asked: counts.length - answers.length };
  } finally {
    await origin.close();
    await cowStore.close();
  }
}

async function assertUnfit(work: Promise<unknown>, message: RegExp, status = 10): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof LvmsyncError, String(error));
    assert.equal(error.exitStatus, status);
    assert.match(error.message, message);
    return true;
  });
}

for (const count of [0, 1, 71, ENTRIES_PER_AREA - 1, ENTRIES_PER_AREA, 3 * ENTRIES_PER_AREA + 5]) {
  test(`a store of ${count} exceptions that the kernel counts too is believed`, async () => {
    writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: firstChunks(count) });
    const { changes } = await read([usageOf(count), usageOf(count)]);
    assert.equal(changes.exceptions, count);
    assert.equal(changes.extents.totalBytes, count * CHUNK);
    assert.equal(changes.chunkSize, CHUNK);
  });
}

test('exceptions that came while the store was read are welcome', async () => {
  writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: firstChunks(50) });
  const { changes } = await read([usageOf(40), usageOf(60)]);
  assert.equal(changes.exceptions, 50);
});

test('a list shorter than the count before it is read again, and refused at the third time', async () => {
  writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: firstChunks(50) });
  const { asked } = await read([usageOf(51), usageOf(51), usageOf(50), usageOf(50)]);
  assert.equal(asked, 4);
  const short = Array.from({ length: 6 }, () => usageOf(51));
  await assertUnfit(read(short), /50 changed chunks are listed where the kernel counts 51 to 51/);
});

test('a list longer than the count after it is refused at once', async () => {
  writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: firstChunks(50) });
  await assertUnfit(read([usageOf(40), usageOf(49)]), /the kernel counts 40 to 49/);
});

test('a count that no store of these chunks can have is refused', async () => {
  writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: firstChunks(50) });
  const odd = { ...usageOf(50), allocatedSectors: usageOf(50).allocatedSectors + 1 };
  await assertUnfit(read([usageOf(50), odd]), /does not fit chunks of 8 sectors/);
});

test('metadata of no whole number of chunks are no reason to fall over', async () => {
  writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: firstChunks(50) });
  const odd = { ...usageOf(50), metadataSectors: 2 * SECTORS + 1 };
  const { changes } = await read([odd, odd]);
  assert.equal(changes.exceptions, 50);
});

test('a header with another chunk size than LVM knows is refused', async () => {
  writeCowStore(cowPath, { chunkSize: 2 * CHUNK, oldChunks: firstChunks(50) });
  await assertUnfit(read([usageOf(50), usageOf(50)]), /chunks of 8192 bytes, LVM says 4096/);
});

test('a store that says it is invalid is refused', async () => {
  writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: firstChunks(5) });
  const fd = openSync(cowPath, 'r+');
  writeSync(fd, Buffer.alloc(4), 0, 4, 4);
  closeSync(fd);
  await assertUnfit(read([usageOf(5), usageOf(5)]), /valid is 0, the snapshot overflowed/);
});

test('without a kernel to ask, the store alone is believed', async () => {
  writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: [5, 1, 2, 4095] });
  const cowStore = await FileDevice.open(cowPath, { role: 'cowStore' });
  const { extents, exceptions } = await readOfflineStore(cowStore, ORIGIN_SIZE - 100);
  await cowStore.close();
  assert.equal(exceptions, 4);
  const last = 4095 * CHUNK;
  assert.deepEqual([...extents.pairs], [CHUNK, 2 * CHUNK, 5 * CHUNK, CHUNK, last, CHUNK - 100]);
});

test('a snapshot that broke while it was read is told in one line', async () => {
  const readStatus = async (): Promise<SnapshotUsage> => {
    throw new LvmsyncError('sourceUnfit', 'vg/snap: it overflowed');
  };
  assert.equal(await findLateFault(snapshot, { readStatus }), 'vg/snap: it overflowed');
  assert.equal(await findLateFault(snapshot, { readStatus: async () => usageOf(1) }), undefined);
});

test('a mistake of the program is not told as a broken snapshot', async () => {
  const readStatus = async (): Promise<SnapshotUsage> => {
    throw new TypeError('a mistake');
  };
  await assert.rejects(findLateFault(snapshot, { readStatus }), TypeError);
});

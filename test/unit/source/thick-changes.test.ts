import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { FileDevice } from '../../../src/device/block-device.js';
import { native } from '../../../src/host/native.js';
import type { WaitRules } from '../../../src/lvm/list-wait.js';
import {
  findLateFault,
  readOfflineStore,
  readThickChanges,
  type ThickEffects,
} from '../../../src/source/thick-changes.js';
import { writeCowStore } from '../../helpers/devices/cow-store.js';
import { scratchFolder } from '../../helpers/scratch.js';

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
  dmUuid: 'LVM-snap',
  snapshotPath: '/dev/mapper/vg-snap',
  snapshotNumber: '254:3',
  cowNumber: '254:2',
  cowPath,
  chunkSize: CHUNK,
  origin: {
    lvName: 'data',
    uuid: 'uuid-of-data',
    size: ORIGIN_SIZE,
    path: originPath,
    deviceNumber: '254:1',
  },
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
async function read(
  counts: readonly SnapshotUsage[],
  { onStatus, ...rules }: WaitRules & { readonly onStatus?: (asked: number) => void } = {},
) {
  const origin = await FileDevice.open(originPath, { role: 'source' });
  const cowStore = await FileDevice.open(cowPath, { role: 'cowStore' });
  const answers = [...counts];
  let asked = 0;
  try {
    const readStatus = async (): Promise<SnapshotUsage> => {
      onStatus?.(asked++);
      return answers.shift() ?? counts.at(-1)!;
    };
    const reading = { readStatus, ...rules };
    const changes = await readThickChanges(snapshot, { origin, cowStore }, reading);
    return { changes, asked };
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

test('F32: a list shorter than the first count is read until it is as long, whatever is counted by then', async () => {
  const counts = [51, 60, 70, 80, 90, 100].map(usageOf);
  const grow = (asked: number): void => {
    const oldChunks = firstChunks(Math.min(47 + asked, 51));
    writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks });
  };
  const { changes, asked } = await read(counts, { onStatus: grow });
  assert.equal(changes.exceptions, 51);
  assert.equal(asked, 6);
});

test('F32: one that grows may take longer than the patience with one that does not', async () => {
  const grow = (asked: number): void => {
    writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: firstChunks(45 + asked) });
  };
  const began = performance.now();
  const { changes } = await read([usageOf(51)], { onStatus: grow, patience: 100 });
  assert.equal(changes.exceptions, 51);
  assert.ok(performance.now() - began > 300);
});

test('F32: one that does not grow is damaged, and refused when the patience is over', async () => {
  writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: firstChunks(50) });
  const began = performance.now();
  await assertUnfit(
    read([usageOf(51)], { patience: 300 }),
    /it lists 50 changed chunks, but the kernel counts 51 to 51/,
  );
  assert.ok(performance.now() - began >= 300);
});

test('F32: a signal ends the wait', async () => {
  writeCowStore(cowPath, { chunkSize: CHUNK, oldChunks: firstChunks(50) });
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50);
  await assert.rejects(read([usageOf(51)], { signal: stop.signal }), { name: 'AbortError' });
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
  await assertUnfit(
    read([usageOf(50), usageOf(50)]),
    /8\.0 KiB in its header, but 4\.0 KiB in LVM/,
  );
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

/** The changed extents of a thick snapshot, read from its COW store and proven complete. */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import type { FileDevice } from '../device/block-device.js';
import { ExtentList } from '../device/extent.js';
import { type DecodedStore, isNativeError, native } from '../host/native.js';
import { SECTOR_SIZE } from '../lvm/dmsetup-lines.js';
import type { SnapshotUsage } from '../lvm/dmsetup-status.js';
import { ListWait, type WaitRules } from '../lvm/list-wait.js';
import { readSnapshotStatus } from '../lvm/snapshot-status.js';
import type { ThickSnapshot } from '../lvm/thick-snapshot.js';

export interface ThickChanges {
  readonly extents: ExtentList;
  readonly chunkSize: number;
  readonly exceptions: number;
  readonly usage: SnapshotUsage;
}

export interface ThickEffects {
  readonly readStatus: (snapshot: ThickSnapshot) => Promise<SnapshotUsage>;
}

export interface ListReading extends Partial<ThickEffects>, WaitRules {}

/**
 * `cowStore` and `origin` are open and stay the caller's. Throws (sourceUnfit) unless the number of
 * exceptions agrees with the kernel's count before and after the reading: never a partial list.
 *
 * The kernel counts an exception when it begins to make it, and lists it when the old content is in the
 * store: with a slow store and a busy origin the list is always short of the count. So it is read until it
 * is as long as the count was at first. What was counted then and listed later had not yet been written.
 */
export async function readThickChanges(
  snapshot: ThickSnapshot,
  devices: { readonly origin: FileDevice; readonly cowStore: FileDevice },
  reading: ListReading = {},
): Promise<ThickChanges> {
  const { cowStore } = devices;
  const { readStatus = readSnapshotStatus } = reading;
  // A page of the origin that is only in the cache is in no list until it is written back.
  await devices.origin.sync();
  let usage = await readStatus(snapshot);
  const least = expected(snapshot, usage);
  const wait = new ListWait(reading);
  for (;;) {
    const chunkSectors = snapshot.chunkSize / SECTOR_SIZE;
    const areas = Math.max(0, Math.floor(usage.metadataSectors / chunkSectors) - 1);
    const decoded = await decode(cowStore, snapshot.originSizeAtSnapshot, areas);
    await checkHeader(cowStore);
    usage = await readStatus(snapshot);
    const { chunkSize, exceptions, extents } = decoded;
    if (chunkSize !== snapshot.chunkSize) throw wrongChunkSize(snapshot, decoded);
    const most = expected(snapshot, usage);
    const isShort = exceptions < least;
    if (exceptions > most || (isShort && !(await wait.mayGrow(exceptions, least)))) {
      throw new LvmsyncError(
        'sourceUnfit',
        `${cowStore.path}: it lists ${exceptions} changed chunks, but the kernel counts ${least} to ${most}`,
        {
          hint: 'The COW store is damaged, and its change list cannot be trusted: a full copy is needed.',
        },
      );
    }
    if (!isShort) return { extents: new ExtentList(extents), chunkSize, exceptions, usage };
  }
}

/** A COW store without its volume group: a copy in a file, or a device of a group that is not there. */
export async function readOfflineStore(
  cowStore: FileDevice,
  originSize: number,
): Promise<Pick<ThickChanges, 'extents' | 'chunkSize' | 'exceptions'>> {
  try {
    const decoded = await decode(cowStore, originSize, null);
    return { ...decoded, extents: new ExtentList(decoded.extents) };
  } catch (error) {
    throw isNoStore(error) ? notAStore(cowStore.path, error) : error;
  }
}

/** Its header is no header: more likely the wrong file than a damaged store. */
function isNoStore(error: unknown): error is LvmsyncError {
  return (
    error instanceof LvmsyncError &&
    isNativeError(error.cause) &&
    error.cause.code === 'CORRUPT' &&
    error.cause.offset === 0
  );
}

function notAStore(path: string, { code, cause }: LvmsyncError): LvmsyncError {
  const detail = isNativeError(cause) ? ` (${cause.detail})` : '';
  return new LvmsyncError(code, `${path}: not the COW store of a snapshot${detail}`, {
    ...UNTOUCHED,
    hint: 'Name the COW store, /dev/mapper/VG-SNAPSHOT-cow or a copy of it, as --cow-store, and the origin as --data-source. If it is the COW store, it is damaged, and a full copy is needed.',
    cause,
  });
}

/** Undefined if the snapshot is still whole; else one line that says why the next run will not be. */
export async function findLateFault(
  snapshot: ThickSnapshot,
  { readStatus }: ThickEffects = { readStatus: readSnapshotStatus },
): Promise<string | undefined> {
  try {
    await readStatus(snapshot);
    return undefined;
  } catch (error) {
    if (error instanceof LvmsyncError) return error.message;
    throw error;
  }
}

function expected(snapshot: ThickSnapshot, usage: SnapshotUsage): number {
  const chunkSectors = snapshot.chunkSize / SECTOR_SIZE;
  const count = native.expectedExceptions(usage.allocatedSectors, chunkSectors);
  if (count !== null) return count;
  throw new LvmsyncError(
    'sourceUnfit',
    `${snapshot.vgName}/${snapshot.lvName}: the kernel's count of ${usage.allocatedSectors} sectors does not fit chunks of ${chunkSectors} sectors`,
  );
}

async function decode(
  cowStore: FileDevice,
  originSize: number,
  areasKnown: number | null,
): Promise<DecodedStore> {
  try {
    return await native.decodeStore(cowStore.file, originSize, areasKnown);
  } catch (error) {
    throw storeFailure(cowStore.path, error);
  }
}

async function checkHeader(cowStore: FileDevice): Promise<void> {
  try {
    await native.readStoreHeader(cowStore.file);
  } catch (error) {
    throw storeFailure(cowStore.path, error);
  }
}

function storeFailure(path: string, error: unknown): unknown {
  if (!isNativeError(error)) return error;
  const where = `at byte ${error.offset}`;
  if (error.code === 'CORRUPT') {
    return new LvmsyncError('sourceUnfit', `${path}: ${error.detail} (${where})`, {
      hint: 'The change list cannot be trusted: a full copy is needed.',
      cause: error,
    });
  }
  const why = error.code === 'UNEXPECTED_END' ? 'it ends there' : `${error.code}: ${error.message}`;
  return new LvmsyncError('sourceRead', `${path}: read error ${where} (${why})`, { cause: error });
}

function wrongChunkSize(snapshot: ThickSnapshot, decoded: DecodedStore): LvmsyncError {
  return new LvmsyncError(
    'sourceUnfit',
    `${snapshot.cowPath}: its chunk size is ${humanSize(decoded.chunkSize)} in its header, but ${humanSize(snapshot.chunkSize)} in LVM`,
  );
}

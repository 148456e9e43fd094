/** What a run reads: the list of changed extents, and the device that holds their data. */

import { FileDevice } from './block-device.js';
import type { HelloAttributes } from './control-frame.js';
import { LvmsyncError } from './errors.js';
import type { ExtentList } from './extent.js';
import type { SourceRequest } from './options.js';
import type { Reporter } from './reporter.js';
import type { SourceMember } from './source-family.js';
import { humanSize } from './text.js';
import { findLateFault, readOfflineStore, readThickChanges } from './thick-changes.js';
import { findSnapshot, type ThickSnapshot } from './volume-group.js';

/** Open; whoever opened it closes it. */
export interface Source {
  /** The data are read from it; its size is the size of the whole source. */
  readonly device: FileDevice;
  readonly extents: ExtentList;
  /** Bytes: the unit of change. */
  readonly chunkSize: number;
  /** Everything this run depends on: none of it may be written. */
  readonly members: readonly SourceMember[];
  readonly attributes: HelloAttributes;
  /** One line if the snapshot broke meanwhile: what was sent is right, a next run will not be. */
  findLateFault(): Promise<string | undefined>;
  close(): Promise<void>;
}

export async function openSource(request: SourceRequest, reporter: Reporter): Promise<Source> {
  if (request.kind === 'cowStore') return openOffline(request, reporter);
  const snapshot = await findSnapshot(request.snapshot);
  if (snapshot.kind === 'thin') {
    throw new LvmsyncError(
      'sourceUnfit',
      `${snapshot.vgName}/${snapshot.lvName}: this is a thin volume; only thick snapshots can be read so far`,
    );
  }
  return openThick(snapshot, request.dataSource, reporter);
}

async function openThick(
  snapshot: ThickSnapshot,
  dataSource: string | undefined,
  reporter: Reporter,
): Promise<Source> {
  const opened = new OpenDevices();
  try {
    const origin = await opened.open(snapshot.origin.path, 'source');
    const cowStore = await opened.open(snapshot.cowPath, 'cowStore');
    const device = dataSource === undefined ? origin : await opened.open(dataSource, 'source');
    const view = await opened.open(snapshot.snapshotPath, 'source');
    noteBuffered(reporter, [device, cowStore]);
    const changes = await readThickChanges(snapshot, { origin, cowStore });
    const { originSizeAtSnapshot } = snapshot;
    const name = `${snapshot.vgName}/${snapshot.lvName}`;
    reporter.verbose(
      `${name}: ${changes.exceptions} chunks of ${humanSize(changes.chunkSize)} changed, and the kernel counts as many`,
    );
    if (changes.usage.allocatedSectors >= changes.usage.totalSectors) {
      reporter.warn(`${name}: its COW store is full, the next change invalidates it`);
    }
    if (origin.size > originSizeAtSnapshot) {
      reporter.info(
        `The origin grew since the snapshot was made: its last ${humanSize(origin.size - originSizeAtSnapshot)} are sent whole.`,
      );
    }
    refuseSmallerData(device, origin);
    const extents = changes.extents
      .clippedTo(origin.size)
      .withTail(originSizeAtSnapshot, origin.size);
    return {
      device,
      extents,
      chunkSize: changes.chunkSize,
      members: [
        { identity: origin.identity, role: 'the origin' },
        { identity: view.identity, role: 'the snapshot' },
        { identity: cowStore.identity, role: 'the COW store of the snapshot' },
        { identity: device.identity, role: 'the data source' },
      ],
      attributes: {
        devicePath: device.path,
        deviceIdentity: snapshot.origin.uuid,
        fromPoint: snapshot.uuid,
      },
      findLateFault: () => findLateFault(snapshot),
      close: () => opened.close(),
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function openOffline(
  request: SourceRequest & { kind: 'cowStore' },
  reporter: Reporter,
): Promise<Source> {
  const opened = new OpenDevices();
  try {
    const cowStore = await opened.open(request.cowStore, 'cowStore');
    const device = await opened.open(request.dataSource, 'source');
    noteBuffered(reporter, [device, cowStore]);
    const changes = await readOfflineStore(cowStore, device.size);
    reporter.verbose(
      `${cowStore.path}: ${changes.exceptions} chunks of ${humanSize(changes.chunkSize)} changed`,
    );
    return {
      device,
      extents: changes.extents,
      chunkSize: changes.chunkSize,
      members: [
        { identity: device.identity, role: 'the data source' },
        { identity: cowStore.identity, role: 'the COW store' },
      ],
      attributes: { devicePath: device.path },
      findLateFault: async () => undefined,
      close: () => opened.close(),
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

class OpenDevices {
  readonly #devices: FileDevice[] = [];

  async open(path: string, role: 'source' | 'cowStore'): Promise<FileDevice> {
    const device = await FileDevice.open(path, { role });
    this.#devices.push(device);
    return device;
  }

  async close(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.close()));
  }
}

/** Changes beyond the end of the data source could not be sent. */
function refuseSmallerData(device: FileDevice, origin: FileDevice): void {
  if (device.size >= origin.size) return;
  throw new LvmsyncError(
    'sourceUnfit',
    `${device.path}: it holds ${device.size} bytes, the origin ${origin.size}: it cannot be its data source`,
  );
}

function noteBuffered(reporter: Reporter, devices: readonly FileDevice[]): void {
  for (const { path, info } of devices) {
    if (info.directError === null) continue;
    reporter.verbose(
      `${path}: read through the page cache, O_DIRECT is refused (${info.directError})`,
    );
  }
}

/** A thick snapshot as a source: what changed since it was made, and the origin's data. */

import { LvmsyncError } from '../base/errors.js';
import { exactSize, humanSize } from '../base/text.js';
import type { FileDevice } from '../device/block-device.js';
import { NO_EXTENTS } from '../device/extent.js';
import { headKindsOf } from '../device/head-kind.js';
import { withDevices } from '../device/open-devices.js';
import { WriteWatch } from '../device/write-watch.js';
import { refuseRunningMerge } from '../lvm/origin-merge.js';
import { refuseNewMerge, type ThickSnapshot } from '../lvm/thick-snapshot.js';
import { fullName } from '../lvm/unfit-volume.js';
import type { RunContext } from '../run/context.js';
import type { Reporter } from '../run/reporter.js';
import { wholeBlocks } from './pool-blocks.js';
import type { ListedVolumes, Source } from './source.js';
import { findLateFault, readThickChanges, type ThickChanges } from './thick-changes.js';

const NEWER_SNAPSHOT = ', or read from a newer snapshot: --data-source NEWER-SNAPSHOT';

export interface ThickRequest {
  /** Read instead of the origin. */
  readonly dataSource: string | undefined;
  /** "major:minor" of what that path leads to, where it is known. */
  readonly dataSourceNumber?: string;
  /** Whose size counts: of an origin that has grown since, a newer snapshot holds the size before. */
  readonly sizeOf: 'origin' | 'dataSource';
}

export function openThick(
  snapshot: ThickSnapshot,
  { dataSource, dataSourceNumber, sizeOf }: ThickRequest,
  { reporter, signal }: Pick<RunContext, 'reporter' | 'signal'>,
): Promise<Source> {
  return withDevices(reporter, async (opened) => {
    const { path, deviceNumber } = snapshot.origin;
    const origin = await opened.open(path, 'source', deviceNumber);
    const cowStore = await opened.open(snapshot.cowPath, 'cowStore', snapshot.cowNumber);
    const device =
      dataSource === undefined ? origin : await opened.open(dataSource, 'source', dataSourceNumber);
    const { snapshotPath, snapshotNumber } = snapshot;
    const view = await opened.open(snapshotPath, 'source', snapshotNumber);
    if (sizeOf === 'origin') refuseSmallerData(device, origin);
    const { size } = sizeOf === 'origin' ? origin : device;
    const members = [
      { identity: origin.identity, role: 'the origin' },
      { identity: view.identity, role: 'the snapshot' },
      { identity: cowStore.identity, role: 'the COW store of the snapshot' },
      { identity: device.identity, role: 'the data source' },
    ];
    const onSlow = (listed: number, counted: number): void =>
      reporter.info(
        `${fullName(snapshot)}: its COW store is slow and lists only ${listed} of ${counted} changed chunks: waiting for the others`,
      );
    await refuseNewMerge(snapshot);
    await refuseRunningMerge(members);
    const watch = await WriteWatch.begin(device, device === origin ? NEWER_SNAPSHOT : '');
    const changes = await readThickChanges(snapshot, { origin, cowStore }, { signal, onSlow });
    reportChanges(snapshot, changes, { size, reporter });
    const extents = await wholeBlocks(changes.extents, origin, reporter);
    const { originSizeAtSnapshot } = snapshot;
    return {
      device,
      extents: extents
        .clippedTo(Math.min(size, originSizeAtSnapshot))
        .withTail(originSizeAtSnapshot, size),
      zeros: NO_EXTENTS,
      copySize: originSizeAtSnapshot,
      headKinds: await headKindsOf([device, view]),
      chunkSize: changes.chunkSize,
      members,
      attributes: {
        devicePath: device.path,
        deviceIdentity: snapshot.origin.uuid,
        fromPoint: snapshot.uuid,
      },
      volumes: volumesOf(snapshot),
      storedChunks: changes.exceptions,
      stores: [{ name: fullName(snapshot), dmUuid: snapshot.dmUuid }],
      watch,
      findLateFault: () => findLateFault(snapshot),
      close: () => opened.close(),
    };
  });
}

function volumesOf({ vgName, lvName, uuid, createdAt, origin }: ThickSnapshot): ListedVolumes {
  return {
    from: { name: fullName({ vgName, lvName }), uuid, createdAt },
    to: {
      name: fullName({ vgName, lvName: origin.lvName }),
      uuid: origin.uuid,
      createdAt: origin.createdAt,
    },
  };
}

/** Changes beyond the end of the data source could not be sent. */
function refuseSmallerData(device: FileDevice, origin: FileDevice): void {
  if (device.size >= origin.size) return;
  throw new LvmsyncError(
    'sourceUnfit',
    `${device.path}: it has ${exactSize(device.size)}, the origin ${exactSize(origin.size)}: too small to be its data source`,
  );
}

function reportChanges(
  snapshot: ThickSnapshot,
  { exceptions, chunkSize, usage }: ThickChanges,
  { size, reporter }: { readonly size: number; readonly reporter: Reporter },
): void {
  const name = `${snapshot.vgName}/${snapshot.lvName}`;
  reporter.verbose(
    `${name}: ${exceptions} chunks of ${humanSize(chunkSize)} changed, which matches the kernel's count`,
  );
  if (usage.allocatedSectors >= usage.totalSectors) {
    reporter.warn(
      `${name}: its COW store is full: the next write to a chunk that it does not hold yet invalidates the snapshot`,
    );
  }
  const gained = size - snapshot.originSizeAtSnapshot;
  if (gained > 0) {
    reporter.info(
      `The origin grew after the snapshot was made: its last ${humanSize(gained)} are sent completely.`,
    );
  }
}

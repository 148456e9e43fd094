/** A thick snapshot, described only where `lvs`, the metadata and the kernel agree and its list is whole. */

import type { RunCommand } from '../host/subprocess.js';
import { type Reading, readTargets, requireAgreement } from './cross-check.js';
import { bareUuid, formatDeviceName } from './device-name.js';
import { infoOf } from './dmsetup.js';
import { SECTOR_SIZE, type TargetPlace } from './dmsetup-lines.js';
import type { TableTarget } from './dmsetup-table.js';
import { askHost } from './host-tools.js';
import { type ConfigSection, findInteger, findSection, findString } from './lvm-config.js';
import { listVolumes, type Volume } from './lvs-report.js';
import {
  finishMerge,
  HALF_MERGED,
  ownMerge,
  refuseSiblingMerge,
  waitForMerge,
} from './origin-merge.js';
import { FAULT_TEXTS, lost, notSnapshotTarget, readSnapshotStatus } from './snapshot-status.js';
import { activationHint, fullName, unfit } from './unfit-volume.js';
import { creationTime, type VolumeGroup } from './volume-group.js';

export interface ThickSnapshot {
  readonly kind: 'thick';
  readonly vgName: string;
  readonly lvName: string;
  readonly uuid: string;
  /** Device-mapper's, which stays when the volume is renamed. */
  readonly dmUuid: string;
  readonly snapshotPath: string;
  readonly cowPath: string;
  /** "major:minor" of what the two paths lead to. */
  readonly snapshotNumber: string;
  readonly cowNumber: string;
  /** Bytes. */
  readonly chunkSize: number;
  readonly origin: Origin;
  /** Bytes; changes of the origin at or beyond it are in no list. Less than origin.size if it grew. */
  readonly originSizeAtSnapshot: number;
  /** Seconds since 1970; absent where the metadata does not say. */
  readonly createdAt?: number;
}

export interface Origin {
  readonly lvName: string;
  readonly uuid: string;
  /** Bytes, now. */
  readonly size: number;
  readonly path: string;
  /** "major:minor" */
  readonly deviceNumber: string;
  /** Seconds since 1970; absent where the metadata does not say. */
  readonly createdAt?: number;
}

/**
 * `volumes` are those of its group. Throws LvmsyncError 'sourceUnfit' if it is merging or has a sibling that is, is
 * inactive or overflowed, or described differently by LVM and the kernel.
 */
export async function describeThick(volume: Volume, group: VolumeGroup): Promise<ThickSnapshot> {
  const { volumes, run } = group;
  const origin = volumes.find(({ uuid }) => uuid === volume.origin?.uuid);
  if (origin === undefined) throw unfit(volume, 'its origin is not in the volume group');
  if (origin.segmentType === 'zero') {
    throw unfit(volume, 'a sparse volume: its origin is virtual and holds no data');
  }
  await refuseMerge(volume, origin, run);
  refuseSiblingMerge(volume, origin.uuid, volumes);
  const { deviceNumber } = origin;
  if (volume.deviceNumber === undefined || deviceNumber === undefined) {
    throw unfit(volume, 'not active here', activationHint(fullName(origin)));
  }
  if (volume.invalid) throw lost(volume, 'Invalid');
  const target = await readSnapshotTarget(volume, run);
  const metadata = await group.metadata();
  requireAgreement(volume, [
    { what: 'origin', by: 'lvs', value: origin.lvName },
    { what: 'chunk size', by: 'lvs', value: volume.chunkSize },
    { what: 'size at the snapshot', by: 'lvs', value: volume.originSize },
    ...snapshotMetadataClaims(volume, metadata),
    { what: 'chunk size', by: 'kernel', value: target.chunkSizeSectors * SECTOR_SIZE },
    { what: 'size at the snapshot', by: 'kernel', value: target.length * SECTOR_SIZE },
    ...(await deviceClaims(volume, origin, { target, run })),
  ]);
  const snapshot: ThickSnapshot = {
    kind: 'thick',
    vgName: volume.vgName,
    lvName: volume.lvName,
    uuid: volume.uuid,
    dmUuid: deviceUuid(volume),
    snapshotPath: volume.path,
    cowPath: `${volume.path}-cow`,
    snapshotNumber: volume.deviceNumber,
    cowNumber: target.cow,
    chunkSize: target.chunkSizeSectors * SECTOR_SIZE,
    origin: {
      ...{ lvName: origin.lvName, uuid: origin.uuid, size: origin.size, path: origin.path },
      deviceNumber,
      ...creationTime(metadata, origin.lvName),
    },
    originSizeAtSnapshot: target.length * SECTOR_SIZE,
    ...creationTime(metadata, volume.lvName),
  };
  await readSnapshotStatus(snapshot, run);
  return snapshot;
}

/** Merging empties the list while it changes the origin; a scheduled merge may begin at any moment. */
async function refuseMerge(volume: Volume, origin: Volume, run: RunCommand): Promise<void> {
  if (volume.mergeFailed) throw unfit(volume, FAULT_TEXTS['Merge failed'], HALF_MERGED);
  if (!volume.merging) return;
  const isWaiting =
    origin.deviceNumber === undefined ||
    (await readTargets(origin, run)).some(({ type }) => type === 'snapshot-origin');
  const into = fullName(origin);
  if (isWaiting) {
    throw unfit(
      volume,
      `its merge into ${into} is scheduled`,
      ownMerge(origin, finishMerge(origin)),
    );
  }
  throw unfit(volume, `being merged into ${into}`, ownMerge(origin, waitForMerge(origin)));
}

type SnapshotTarget = TargetPlace & Extract<TableTarget, { type: 'snapshot' | 'snapshot-merge' }>;

async function readSnapshotTarget(volume: Volume, run: RunCommand): Promise<SnapshotTarget> {
  const targets = await readTargets(volume, run);
  const [target] = targets;
  if (target?.type !== 'snapshot' || targets.length > 1) {
    throw unfit(volume, notSnapshotTarget(targets));
  }
  if (!target.store.startsWith('P')) throw unfit(volume, FAULT_TEXTS.Unknown);
  return target;
}

/** The segment of type "snapshot" is in a hidden volume of its own and names the COW store. */
function snapshotMetadataClaims(volume: Volume, group: ConfigSection): readonly Reading[] {
  const volumes = findSection(group, 'logical_volumes')?.sections.values() ?? [];
  const segment = [...volumes]
    .map((entry) => findSection(entry, 'segment1'))
    .find((found) => found && findString(found, 'cow_store') === volume.lvName);
  const by = 'metadata';
  if (segment === undefined) return [{ what: 'origin', by, value: undefined }];
  const extents = findInteger(segment, 'extent_count') ?? 0;
  const extentSize = (findInteger(group, 'extent_size') ?? 0) * SECTOR_SIZE;
  const chunkSize = (findInteger(segment, 'chunk_size') ?? 0) * SECTOR_SIZE;
  return [
    { what: 'origin', by, value: findString(segment, 'origin') },
    { what: 'chunk size', by, value: chunkSize },
    { what: 'size at the snapshot', by, value: extents * extentSize },
  ];
}

/** That the nodes with the names we go by are the devices which the kernel's snapshot is made of. */
async function deviceClaims(
  volume: Volume,
  origin: Volume,
  { target, run }: { readonly target: SnapshotTarget; readonly run: RunCommand },
): Promise<readonly Reading[]> {
  const names = [volume, { ...volume, layer: 'cow' }, { ...origin, layer: 'real' }].map(
    formatDeviceName,
  );
  const info = await infoOf(names, run, { code: 'sourceUnfit' });
  const [own, cow, real] = names.map((name) => info.get(name));
  const uuid = deviceUuid(volume);
  return [
    { what: 'device', by: 'lvs', value: volume.deviceNumber },
    { what: 'device', by: 'kernel', value: own?.number },
    { what: 'uuid', by: 'lvs', value: uuid },
    { what: 'uuid', by: 'kernel', value: own?.uuid },
    { what: 'COW store', by: 'its table', value: target.cow },
    { what: 'COW store', by: 'its name', value: cow?.number },
    { what: 'origin device', by: 'its table', value: target.origin },
    { what: 'origin device', by: 'its name', value: real?.number },
  ];
}

export function deviceUuid({ vgUuid, uuid }: Pick<Volume, 'vgUuid' | 'uuid'>): string {
  return `LVM-${bareUuid(vgUuid)}${bareUuid(uuid)}`;
}

/** As describeThick, for a merge that began since. To be called when the origin is open: then none begins. */
export async function refuseNewMerge(
  snapshot: ThickSnapshot,
  run: RunCommand = askHost,
): Promise<void> {
  refuseSiblingMerge(snapshot, snapshot.origin.uuid, await listVolumes(snapshot.vgName, run));
}

/** A thin volume, described only where `lvs`, the metadata and the kernel agree on which one it is. */

import type { RunCommand } from '../host/subprocess.js';
import { type Reading, readTargets, requireAgreement } from './cross-check.js';
import { findInteger, findSection, findString, findTexts } from './lvm-config.js';
import type { Volume } from './lvs-report.js';
import { afterMerge, finishMerge, ownMerge } from './origin-merge.js';
import { failedPool } from './thin-pool.js';
import { fullName, unfit } from './unfit-volume.js';
import { creationTime, type VolumeGroup } from './volume-group.js';

export interface ThinVolume {
  readonly kind: 'thin';
  readonly vgName: string;
  readonly lvName: string;
  readonly uuid: string;
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Whether this host's kernel has it; a thin snapshot is inactive unless asked for. */
  readonly active: boolean;
  /** "major:minor" of what the path leads to, where it is active. */
  readonly deviceNumber: string | undefined;
  readonly poolName: string;
  /** The device's number in the pool; a merge changes it, so it holds for this run only. */
  readonly thinId: number;
  /** LVM lets it be written, where it is active; what the kernel says may differ. */
  readonly writable: boolean;
  /** Seconds since 1970; absent where the metadata does not say. */
  readonly createdAt?: number;
  /** Its origin, in the same pool; absent if that was removed. */
  readonly origin?: { readonly lvName: string; readonly uuid: string };
  /** The volume outside the pool that serves what is not mapped. */
  readonly externalOrigin?: { readonly lvName: string; readonly uuid: string };
}

/**
 * The volume is one of the group. Throws LvmsyncError 'sourceUnfit' if a merge is to change it or its
 * origin, or if LVM and the kernel describe it differently; 'pool' if its pool has failed.
 */
export async function describeThin(volume: Volume, group: VolumeGroup): Promise<ThinVolume> {
  const { vgName, lvName, uuid, path, size, poolName, thinId } = volume;
  const { volumes, run } = group;
  refuseMerge(volume, volumes);
  const metadata = await group.metadata();
  const about = findSection(metadata, 'logical_volumes', lvName);
  const segment = about && findSection(about, 'segment1');
  const text = (key: string) => segment && findString(segment, key);
  requireAgreement(volume, [
    { what: 'pool', by: 'lvs', value: poolName },
    { what: 'pool', by: 'metadata', value: text('thin_pool') },
    { what: 'origin', by: 'lvs', value: volume.origin?.lvName },
    { what: 'origin', by: 'metadata', value: text('origin') ?? text('external_origin') },
    { what: 'thin id', by: 'lvs', value: thinId },
    { what: 'thin id', by: 'metadata', value: segment && findInteger(segment, 'device_id') },
    ...(await thinKernelClaims(volume, run)),
  ]);
  if (thinId === undefined) throw unfit(volume, 'it has no id in its pool');
  const reference = (key: string) => {
    const found = volumes.find((other) => other.lvName === text(key));
    return found && { lvName: found.lvName, uuid: found.uuid };
  };
  const origin = reference('origin');
  const externalOrigin = reference('external_origin');
  return {
    kind: 'thin',
    ...{ vgName, lvName, uuid, path, size, poolName, thinId },
    active: volume.deviceNumber !== undefined,
    deviceNumber: volume.deviceNumber,
    writable: about === undefined || findTexts(about, 'status').includes('WRITE'),
    ...creationTime(metadata, lvName),
    ...(origin === undefined ? {} : { origin }),
    ...(externalOrigin === undefined ? {} : { externalOrigin }),
  };
}

/**
 * A merge swaps the origin's content and thin id for the snapshot's when the origin is next activated,
 * at any moment: nothing that reads either of them may begin. lvs tells it of the merging snapshot only.
 */
function refuseMerge(volume: Volume, volumes: readonly Volume[]): void {
  const { vgName } = volume;
  if (volume.merging) {
    const into = { vgName, lvName: volume.origin?.lvName ?? '' };
    const hint = ownMerge(into, finishMerge(into));
    throw unfit(volume, 'a merge is scheduled or running', hint);
  }
  const isRead = (uuid: string | undefined) =>
    uuid !== undefined && (uuid === volume.uuid || uuid === volume.origin?.uuid);
  const merging = volumes.find(
    (other) => other.merging && (isRead(other.uuid) || isRead(other.origin?.uuid)),
  );
  if (merging === undefined) return;
  throw unfit(
    volume,
    `a merge of ${fullName(merging)} is scheduled or running`,
    afterMerge({ vgName, lvName: merging.origin?.lvName ?? '' }),
  );
}

/** With thick snapshots on it, the thin target is in the volume's "real" layer. */
async function thinKernelClaims(volume: Volume, run: RunCommand): Promise<readonly Reading[]> {
  if (volume.deviceNumber === undefined) return [];
  let [target] = await readTargets(volume, run);
  if (target?.type === 'snapshot-origin') {
    [target] = await readTargets({ ...volume, layer: 'real' }, run);
  }
  if (target?.type === 'failed-thin') throw failedPool(`${volume.vgName}/${volume.poolName}`);
  const value = target?.type === 'thin' ? target.deviceId : undefined;
  return [{ what: 'thin id', by: 'kernel', value }];
}

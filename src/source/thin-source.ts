/** A thin snapshot, or any two thin volumes of one pool, as a source. */

import type { LvmsyncError } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import { NO_EXTENTS } from '../device/extent.js';
import { difference, union } from '../device/extent-sets.js';
import { carriersOf } from '../device/file-carriers.js';
import { headKindsOf } from '../device/head-kind.js';
import { withDevices } from '../device/open-devices.js';
import {
  type DeviceIdentity,
  identityKey,
  realTopology,
  type TopologyEffects,
} from '../device/topology.js';
import { WriteWatch } from '../device/write-watch.js';
import { runCommand, streamCommand } from '../host/subprocess.js';
import type { VolumeName } from '../lvm/device-name.js';
import { describeKnown, describeSnapshot, findBeside, nameSnapshot } from '../lvm/find-volume.js';
import {
  type DumpedDevice,
  readThinDifference,
  type ThinDifference,
} from '../lvm/thin/difference.js';
import { HELD_DIRECTORY } from '../lvm/thin/held-record.js';
import { withMetadataSnap } from '../lvm/thin/metadata-snap.js';
import { findThinPool, type ThinPool } from '../lvm/thin-pool.js';
import type { ThinVolume } from '../lvm/thin-volume.js';
import { activationHint, fullName, unfit } from '../lvm/unfit-volume.js';
import type { VolumeGroup } from '../lvm/volume-group.js';
import type { RunContext } from '../run/context.js';
import { refuseWritable } from './read-only.js';
import type { SourceRequest } from './request.js';
import type { ListedVolume, Source } from './source.js';

/** The changes from the older volume to the newer one, from which the data is read. */
interface ThinPair {
  readonly from: ThinVolume;
  readonly to: ThinVolume;
}

const NEWER_SNAPSHOT =
  ', or send what changed up to a newer snapshot: --since SNAPSHOT NEWER-SNAPSHOT';

export async function openThin(
  pair: ThinPair,
  request: SourceRequest & { kind: 'snapshot' },
  context: RunContext,
): Promise<Source> {
  refuseStrangers(pair);
  if (request.bothReadOnly) refuseWritable([pair.from, pair.to]);
  const { dataSource } = request;
  const remedy = request.since === undefined ? NEWER_SNAPSHOT : '';
  return openDifference({ ...pair, dataSource, remedy }, context);
}

/** The changes from one volume to another. */
export async function openThinPair(pair: ThinPair, context: RunContext): Promise<Source> {
  refuseStrangers(pair);
  return openDifference({ ...pair, dataSource: undefined, remedy: '' }, context);
}

/** All of a volume: what it maps, and as zeros what it does not. */
export function openWholeThin(volume: ThinVolume, context: RunContext): Promise<Source> {
  const nothing = { from: undefined, dataSource: undefined, remedy: '' };
  return openDifference({ ...nothing, to: volume }, context);
}

interface ThinRequest {
  /** Undefined: a volume that maps nothing. */
  readonly from: ThinVolume | undefined;
  readonly to: ThinVolume;
  readonly dataSource: string | undefined;
  /** Another device to read from if something writes to the newer volume. */
  readonly remedy: string;
}

async function openDifference(request: ThinRequest, context: RunContext): Promise<Source> {
  const { from, to, dataSource, remedy } = request;
  requireActive(to);
  const pool = await findThinPool(to);
  return withDevices(context.reporter, async (opened) => {
    const newer = await opened.open(to.path, 'source', to.deviceNumber);
    // An inactive one cannot be looked at; only its mappings are needed.
    const older =
      from?.active === true ? await opened.open(from.path, 'source', from.deviceNumber) : undefined;
    const device = dataSource === undefined ? newer : await opened.open(dataSource, 'source');
    if (device.size < newer.size) throw smallerData(device.path, to);
    // A page that is only in the cache is in no mapping until it is written back.
    await newer.sync();
    const watch = await WriteWatch.begin(device, ownWrites(device.identity) + remedy);
    const changes = await readChanges({ from, to }, pool, { size: newer.size, context });
    const { extents, zeros } = splitChanges(changes, from?.size ?? 0, {
      size: newer.size,
      // Another device may hold data, or an external origin shine through, where this one has no block.
      readsAsZeros: device === newer && to.externalOrigin === undefined,
    });
    return {
      device,
      // If a volume was made smaller since, no mapping shows what another device holds behind its end.
      extents: extents.withTail(newer.size, device.size),
      zeros,
      copySize: from?.size ?? 0,
      headKinds: await headKindsOf(older === undefined ? [device] : [device, older]),
      chunkSize: changes.dataBlockSize,
      members: [
        { identity: newer.identity, role: 'the volume' },
        { identity: device.identity, role: 'the data source' },
      ],
      attributes: {
        devicePath: device.path,
        deviceIdentity: to.uuid,
        ...(from === undefined ? {} : { fromPoint: from.uuid }),
      },
      ...(from === undefined ? {} : { volumes: { from: listed(from), to: listed(to) } }),
      stores: [pool],
      watch,
      findLateFault: async () => undefined,
      close: () => opened.close(),
    };
  });
}

function listed(volume: ThinVolume): ListedVolume {
  const { uuid, createdAt } = volume;
  return { name: fullName(volume), uuid, createdAt };
}

/** Who reads that the source was written shall know that this program does so, too. */
export function ownWrites(
  source: DeviceIdentity,
  directory = HELD_DIRECTORY,
  effects: TopologyEffects = realTopology,
): string {
  const key = identityKey(source);
  if (!carriersOf(directory, effects).some((device) => identityKey(device) === key)) return '';
  return ` (lvmsync itself writes to it: its records are in ${directory}, which lies on it)`;
}

/** A snapshot and its origin, or what `since` names and the volume. Throws as findSnapshot does. */
export async function findPair(
  volume: ThinVolume,
  group: VolumeGroup,
  since: string | undefined,
): Promise<ThinPair> {
  if (since !== undefined) {
    const older = await findBeside(since, group);
    if (older.volume.segmentType !== 'thin') throw notThin(older.volume, volume, group);
    const from = await describeSnapshot(older.volume, older.group);
    if (from.kind === 'thin') return { from, to: volume };
    throw notThin(older.volume, volume, group);
  }
  if (volume.origin === undefined) throw withoutOrigin(volume, group);
  const origin = await describeKnown({ ...volume.origin, vgName: volume.vgName }, group);
  if (origin.kind === 'thin') return { from: volume, to: origin };
  throw unfit(volume, `its origin ${volume.origin.lvName} is no longer a thin volume`);
}

function notThin(
  older: VolumeName,
  { lvName: ownName, poolName }: ThinVolume,
  { volumes }: VolumeGroup,
): LvmsyncError {
  const others = volumes.filter((one) => one.poolName === poolName && one.lvName !== ownName);
  const names = others.map(fullName).join(', ');
  return unfit(
    older,
    'not a thin volume: --since needs one of the same pool',
    names === '' ? undefined : `Name the one that the copy matches: ${names}.`,
  );
}

function withoutOrigin(volume: ThinVolume, { volumes }: VolumeGroup): LvmsyncError {
  const what = 'a thin volume whose origin was removed, or that is not a snapshot';
  const own = volumes.find(({ uuid }) => uuid === volume.uuid);
  const instead = own === undefined ? '' : nameSnapshot(own, volumes);
  const removed = `If its origin was removed, name a newer volume of the pool, too: lvmsync --since ${fullName(volume)} NEWER DESTINATION`;
  return unfit(volume, what, `${instead} ${removed}`.trim());
}

/** Only volumes of one pool share data blocks, and only equal external origins read the same. */
function refuseStrangers({ from, to }: ThinPair): void {
  if (from.vgName !== to.vgName || from.poolName !== to.poolName) {
    throw unfit(to, `not in the same thin pool as ${fullName(from)}`);
  }
  if (from.uuid === to.uuid) throw unfit(to, 'both names are the same volume');
  if (from.externalOrigin?.uuid !== to.externalOrigin?.uuid) {
    throw unfit(to, `it has another external origin than ${fullName(from)}`);
  }
}

function requireActive(volume: ThinVolume): void {
  if (volume.active) return;
  throw unfit(volume, 'inactive', activationHint(fullName(volume)));
}

/** Two dumps at once, one for each volume, merged as they come: no list of mappings is kept. */
async function readChanges(
  { from, to }: Pick<ThinRequest, 'from' | 'to'>,
  pool: ThinPool,
  { size, context }: { readonly size: number; readonly context: RunContext },
): Promise<ThinDifference> {
  const { reporter, signal } = context;
  await requireTool();
  const changes = await withMetadataSnap(pool, context, async () => {
    signal.throwIfAborted();
    const older = from && dumpOf(from, pool);
    const newer = dumpOf(to, pool);
    const stop = (): void => {
      older?.dump.stop();
      newer.dump.stop();
    };
    signal.addEventListener('abort', stop);
    try {
      const fromSize = from === undefined ? {} : { fromSize: from.size };
      const found = await readThinDifference({ from: older, to: newer, size, ...fromSize });
      const others = from === undefined ? '' : `${fullName(from)} and `;
      reporter.verbose(`${pool.name}: read the mappings of ${others}${fullName(to)}`);
      return found;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  });
  const { changed, discarded, dataBlockSize } = changes;
  const since =
    from === undefined
      ? `maps ${humanSize(changed.totalBytes)}`
      : `${humanSize(changed.totalBytes)} changed since ${fullName(from)}, ${humanSize(discarded.totalBytes)} discarded`;
  reporter.verbose(`${fullName(to)}: ${since}, in blocks of ${humanSize(dataBlockSize)}`);
  return changes;
}

function dumpOf(volume: ThinVolume, pool: ThinPool): DumpedDevice {
  const id = String(volume.thinId);
  const argv = ['thin_dump', '-m', '--dev-id', id, pool.metadataPath] as const;
  return { deviceId: volume.thinId, dump: streamCommand(argv, { code: 'pool' }) };
}

/** Found missing before the pool is asked for anything. */
async function requireTool(): Promise<void> {
  await runCommand(['thin_dump', '--version'], { code: 'pool' });
}

/**
 * A part that the volume gained is compared with nothing: all of it is sent, or made to read as zeros.
 * The block in which it begins may be in no list, although it holds data behind the former end.
 */
export function splitChanges(
  { changed, discarded, dataBlockSize }: ThinDifference,
  fromSize: number,
  newer: { readonly size: number; readonly readsAsZeros: boolean },
): Pick<Source, 'extents' | 'zeros'> {
  const { size, readsAsZeros } = newer;
  const firstWhole = Math.min(size, Math.ceil(fromSize / dataBlockSize) * dataBlockSize);
  const begun = NO_EXTENTS.withTail(fromSize, firstWhole);
  const gained = NO_EXTENTS.withTail(firstWhole, size);
  const mapped = union(changed, difference(begun, discarded));
  const unmapped = union(discarded, difference(gained, changed));
  return {
    extents: union(mapped, unmapped),
    zeros: readsAsZeros ? unmapped : NO_EXTENTS,
  };
}

function smallerData(path: string, to: ThinVolume): LvmsyncError {
  return unfit(to, `${path} is smaller, so it cannot be its data source`);
}

/** A thin snapshot, or any two thin volumes of one pool, as a source. */

import { runCommand, streamCommand } from './command.js';
import type { LvmsyncError } from './errors.js';
import { ExtentList, NO_EXTENTS } from './extent.js';
import { difference, union } from './extent-sets.js';
import { withMetadataSnap } from './metadata-snap.js';
import { type OpenDevices, withDevices } from './open-devices.js';
import type { SourceRequest } from './options.js';
import type { RunContext } from './run-context.js';
import type { Source } from './source.js';
import { humanSize } from './text.js';
import { readThinDifference, type ThinDifference } from './thin-difference.js';
import { findThinPool, type ThinPool } from './thin-pool.js';
import type { ThinVolume } from './thin-volume.js';
import { fullName, unfit } from './unfit-volume.js';
import { findSnapshot } from './volume-group.js';

/** What changed from the older volume to the newer one, from which the data are read. */
interface ThinPair {
  readonly from: ThinVolume;
  readonly to: ThinVolume;
}

export async function openThin(
  volume: ThinVolume,
  request: SourceRequest & { kind: 'snapshot' },
  context: RunContext,
): Promise<Source> {
  const pair = await findPair(volume, request.since);
  refuseStrangers(pair);
  const pool = await findThinPool(pair.to);
  return withDevices(context.reporter, async (opened) => {
    const newer = await openNewer(pair.to, opened);
    const device =
      request.dataSource === undefined ? newer : await opened.open(request.dataSource, 'source');
    if (device.size < newer.size) throw smallerData(device.path, pair);
    // A page that is only in the cache is in no mapping until it is written back.
    await newer.sync();
    const changes = await readChanges(pair, pool, { size: newer.size, context });
    return {
      device,
      ...splitChanges(changes, pair, newer.size),
      chunkSize: changes.dataBlockSize,
      members: [
        { identity: newer.identity, role: 'the volume' },
        { identity: device.identity, role: 'the data source' },
      ],
      attributes: {
        devicePath: device.path,
        deviceIdentity: pair.to.uuid,
        fromPoint: pair.from.uuid,
      },
      findLateFault: async () => undefined,
      close: () => opened.close(),
    };
  });
}

async function findPair(volume: ThinVolume, since: string | undefined): Promise<ThinPair> {
  if (since !== undefined) {
    const from = await findSnapshot(since);
    if (from.kind === 'thin') return { from, to: volume };
    throw unfit(from, 'not a thin volume: --since needs one of the same pool');
  }
  if (volume.origin === undefined) {
    throw unfit(
      volume,
      'a thin volume whose origin was removed, or that is no snapshot',
      `Name what changed since it: lvmsync --since ${fullName(volume)} VOLUME DESTINATION`,
    );
  }
  const origin = await findSnapshot(`${volume.vgName}/${volume.origin.lvName}`);
  if (origin.kind === 'thin' && origin.uuid === volume.origin.uuid) {
    return { from: volume, to: origin };
  }
  throw unfit(volume, `its origin ${volume.origin.lvName} is no thin volume any more`);
}

/** Only volumes of one pool share data blocks, and only equal external origins read the same. */
function refuseStrangers({ from, to }: ThinPair): void {
  if (from.vgName !== to.vgName || from.poolName !== to.poolName) {
    throw unfit(to, `not in the same thin pool as ${fullName(from)}`);
  }
  if (from.uuid === to.uuid) throw unfit(to, 'this is one volume, not two');
  if (from.externalOrigin?.uuid !== to.externalOrigin?.uuid) {
    throw unfit(to, `its external origin is not that of ${fullName(from)}`);
  }
}

async function openNewer(volume: ThinVolume, opened: OpenDevices) {
  if (!volume.active) {
    const name = fullName(volume);
    throw unfit(volume, 'inactive', `Activate it: lvchange -ay -K ${name}`);
  }
  return opened.open(volume.path, 'source');
}

/** Two dumps at once, one for each volume, merged as they come: no list of mappings is kept. */
async function readChanges(
  { from, to }: ThinPair,
  pool: ThinPool,
  { size, context }: { readonly size: number; readonly context: RunContext },
): Promise<ThinDifference> {
  const { reporter, signal } = context;
  await requireTool();
  const changes = await withMetadataSnap(pool, context, async () => {
    signal.throwIfAborted();
    const [older, newer] = [from, to].map((volume) => ({
      deviceId: volume.thinId,
      dump: streamCommand(
        ['thin_dump', '-m', '--dev-id', String(volume.thinId), pool.metadataPath],
        { code: 'pool' },
      ),
    }));
    if (older === undefined || newer === undefined) throw new Error('two volumes, two dumps');
    const stop = (): void => {
      older.dump.stop();
      newer.dump.stop();
    };
    signal.addEventListener('abort', stop);
    try {
      return await readThinDifference({ from: older, to: newer, size });
    } finally {
      signal.removeEventListener('abort', stop);
    }
  });
  reporter.verbose(
    `${fullName(to)}: ${humanSize(changes.changed.totalBytes)} changed since ${fullName(from)}, ${humanSize(changes.discarded.totalBytes)} discarded, in blocks of ${humanSize(changes.dataBlockSize)}`,
  );
  return changes;
}

/** Found missing before the pool is asked for anything. */
async function requireTool(): Promise<void> {
  await runCommand(['thin_dump', '--version'], { code: 'pool' });
}

/**
 * What is unmapped reads as zeros, unless an external origin shows through. A part that the volume
 * gained is compared with nothing: all of it is sent, or made to read as zeros.
 */
function splitChanges(
  { changed, discarded }: ThinDifference,
  { from, to }: ThinPair,
  size: number,
): Pick<Source, 'extents' | 'zeros'> {
  const gained = new ExtentList(
    from.size < size ? Float64Array.of(from.size, size - from.size) : new Float64Array(),
  );
  const unmapped = union(discarded, difference(gained, changed));
  const readsAsZeros = to.externalOrigin === undefined;
  return {
    extents: union(changed, unmapped),
    zeros: readsAsZeros ? unmapped : NO_EXTENTS,
  };
}

function smallerData(path: string, { to }: ThinPair): LvmsyncError {
  return unfit(to, `${path} is smaller: it cannot be its data source`);
}

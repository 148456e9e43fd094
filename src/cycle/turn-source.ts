/** The data of one turn of a cycle: everything that its new snapshot holds, or the changes in it. */

import type { Point } from '../chain/record.js';
import { NO_EXTENTS } from '../device/extent.js';
import { headKindsOf } from '../device/head-kind.js';
import { withDevices } from '../device/open-devices.js';
import { WriteWatch } from '../device/write-watch.js';
import { describeKnown } from '../lvm/find-volume.js';
import { askHost } from '../lvm/host-tools.js';
import type { ThickSnapshot } from '../lvm/thick-snapshot.js';
import type { ThinVolume } from '../lvm/thin-volume.js';
import { fullName, unfit } from '../lvm/unfit-volume.js';
import { VolumeGroup } from '../lvm/volume-group.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import type { Reporter } from '../run/reporter.js';
import type { Source } from '../source/source.js';
import { findLateFault } from '../source/thick-changes.js';
import { openThick } from '../source/thick-source.js';
import { openThinPair, openWholeThin } from '../source/thin-source.js';
import { HASH_BLOCK } from '../stream/hash-lines.js';
import type { CycleSnapshot } from './volumes.js';

/** The points that a turn leads from and to; both snapshots are there, the newer one is active. */
export interface TurnPoints {
  /** Undefined: all of `next` is sent. */
  readonly base: CycleSnapshot | undefined;
  readonly next: CycleSnapshot;
  /** LVM's uuid. */
  readonly originUuid: string;
}

/**
 * The data are read from the new snapshot. The list of a thick base is read only now that it exists, so
 * that it holds every chunk in which the two differ. Before anybody is told of the new snapshot, what LVM
 * wrote to make it is durable: the watch over the source flushes its device, and with it the disk below.
 */
export async function openTurn(points: TurnPoints, context: RunContext): Promise<Source> {
  const { base, next, originUuid } = points;
  try {
    const source = await open(points, context);
    const from = base === undefined ? {} : { fromPoint: base.uuid, fromTime: base.time };
    const to = { toPoint: next.uuid, toTime: next.time };
    const { devicePath = source.device.path } = source.attributes;
    return { ...source, attributes: { devicePath, deviceIdentity: originUuid, ...from, ...to } };
  } catch (error) {
    // A tool that the signal ended has not failed.
    throw context.signal.aborted ? interrupted(context.signal) : error;
  }
}

/** The same of what is compared whole; `from`: the point that the destination is said to hold, undefined for none. */
export interface ComparedPoints extends Pick<TurnPoints, 'next' | 'originUuid'> {
  readonly from: Point | undefined;
}

export async function openCompared(
  { from, next, originUuid }: ComparedPoints,
  context: RunContext,
): Promise<Source> {
  try {
    const group = await VolumeGroup.list(next.vgName, askHost);
    const snapshot = await describeKnown(next, group);
    const source = await openWholeSnapshot(snapshot, context.reporter);
    const points = {
      ...(from && { fromPoint: from.uuid, fromTime: from.time }),
      ...{ toPoint: next.uuid, toTime: next.time },
    };
    const { devicePath = source.device.path } = source.attributes;
    const attributes = { devicePath, deviceIdentity: originUuid, ...points };
    const findFault =
      snapshot.kind === 'thin' ? source.findLateFault : () => findLateFault(snapshot);
    return { ...source, attributes, findLateFault: findFault };
  } catch (error) {
    throw context.signal.aborted ? interrupted(context.signal) : error;
  }
}

async function open({ base, next }: TurnPoints, context: RunContext): Promise<Source> {
  const group = await VolumeGroup.list(next.vgName, askHost);
  const newer = await describeKnown(next, group);
  const older = base && (await describeKnown(base, group));
  if (newer.kind === 'thin') {
    if (older === undefined) return openWholeThin(newer, context);
    if (older.kind === 'thick') throw unfit(older, `not a thin volume, as ${fullName(newer)} is`);
    return openThinPair({ from: older, to: newer }, context);
  }
  const source = await openThickTurn(newer, older, context);
  // The next turn begins from the new one; what becomes of the base does not matter any more.
  return { ...source, findLateFault: () => findLateFault(newer) };
}

function openThickTurn(
  newer: ThickSnapshot,
  older: ThickSnapshot | ThinVolume | undefined,
  context: RunContext,
): Promise<Source> {
  if (older === undefined) return openWholeSnapshot(newer, context.reporter);
  if (older.kind === 'thin') throw unfit(older, `not a thick snapshot, as ${fullName(newer)} is`);
  const { snapshotPath: dataSource, snapshotNumber: dataSourceNumber } = newer;
  const request = { dataSource, dataSourceNumber, sizeOf: 'dataSource' } as const;
  return openThick(older, request, context);
}

function openWholeSnapshot(
  snapshot: ThickSnapshot | ThinVolume,
  reporter: Reporter,
): Promise<Source> {
  const isThin = snapshot.kind === 'thin';
  const path = isThin ? snapshot.path : snapshot.snapshotPath;
  const number = isThin ? snapshot.deviceNumber : snapshot.snapshotNumber;
  return withDevices(reporter, async (opened) => {
    const device = await opened.open(path, 'source', number);
    return {
      device,
      extents: NO_EXTENTS.withTail(0, device.size),
      zeros: NO_EXTENTS,
      copySize: 0,
      headKinds: await headKindsOf([device]),
      chunkSize: isThin ? HASH_BLOCK : snapshot.chunkSize,
      members: [{ identity: device.identity, role: 'the snapshot' }],
      // Its own COW store is found by who looks.
      stores: [],
      attributes: { devicePath: device.path },
      watch: await WriteWatch.begin(device),
      findLateFault: async () => undefined,
      close: () => opened.close(),
    };
  });
}

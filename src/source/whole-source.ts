/** All of a device as a source: for a verify that compares everything. */

import { LvmsyncError } from '../base/errors.js';
import { type ExtentList, NO_EXTENTS } from '../device/extent.js';
import { headKindsOf } from '../device/head-kind.js';
import { withDevices } from '../device/open-devices.js';
import { WriteWatch } from '../device/write-watch.js';
import { type FoundVolume, findVolume } from '../lvm/find-volume.js';
import { refuseRunningMerge } from '../lvm/origin-merge.js';
import { inspectPath } from '../lvm/volume-name.js';
import type { RunContext } from '../run/context.js';
import type { Reporter } from '../run/reporter.js';
import { openSource, untouched } from './open-source.js';
import type { SourceRequest } from './request.js';
import type { Source } from './source.js';

/**
 * For a snapshot: all that a sync reads, its origin or the data source. Anything else is read as it
 * is. Whoever opened it closes it.
 */
export async function openWhole(request: SourceRequest, context: RunContext): Promise<Source> {
  const plain = await untouched(context, () => findPlain(request));
  if (plain !== undefined) return untouched(context, () => openPlain(plain, context.reporter));
  const source = await openSource(request, context);
  return { ...source, extents: allOf(source.device.size), zeros: NO_EXTENTS, copySize: 0 };
}

/** The data that a sync would send of a snapshot, and all of anything else. Whoever opened it closes it. */
export async function openChangedOrWhole(subject: string, context: RunContext): Promise<Source> {
  const nothing = { dataSource: undefined, since: undefined };
  const request = { kind: 'snapshot', snapshot: subject, ...nothing } as const;
  const plain = await findPlain(request);
  return plain === undefined ? openSource(request, context) : openPlain(plain, context.reporter);
}

/** The path, unless it is a snapshot; undefined where a sync has a list of changes. */
async function findPlain(request: SourceRequest): Promise<string | undefined> {
  if (request.kind === 'cowStore') return undefined;
  const { snapshot: subject, dataSource } = request;
  if (dataSource !== undefined) return undefined;
  if (await isOutsideLvm(subject)) return subject;
  const { volume } = await findAny(subject);
  return volume.origin === undefined ? volume.path : undefined;
}

/** A file or a device that can be read whole only: LVM has no list of changes for it. */
export async function isOutsideLvm(subject: string): Promise<boolean> {
  const found = await inspectPath(subject);
  if (found.kind === 'other') return found.what === 'a regular file';
  return found.kind === 'block' && found.mapped?.uuid.startsWith('LVM-') !== true;
}

/** Throws (usage) for the name of nothing, without the advice to name a snapshot. */
async function findAny(subject: string): Promise<FoundVolume> {
  try {
    return await findVolume(subject);
  } catch (error) {
    if (!(error instanceof LvmsyncError) || error.code !== 'usage') throw error;
    const hint = 'Check the name. Any block device, regular file or volume (VG/LV) will do.';
    throw new LvmsyncError('usage', error.message, { hint, cause: error });
  }
}

function openPlain(path: string, reporter: Reporter): Promise<Source> {
  return withDevices(reporter, async (opened) => {
    const device = await opened.open(path, 'source');
    const members = [{ identity: device.identity, role: 'the source' }];
    await refuseRunningMerge(members);
    return {
      device,
      extents: allOf(device.size),
      zeros: NO_EXTENTS,
      copySize: 0,
      headKinds: await headKindsOf([device]),
      chunkSize: 4096,
      members,
      attributes: { devicePath: device.path },
      stores: [],
      watch: await WriteWatch.begin(device),
      findLateFault: async () => undefined,
      close: () => opened.close(),
    };
  });
}

function allOf(size: number): ExtentList {
  return NO_EXTENTS.withTail(0, size);
}

/**
 * The COW stores of a chain's snapshots: how full they are, and how full those before them became. The latter is
 * remembered in a tag of each snapshot, which lvcreate gives it, so that it is there as long as the snapshot is.
 */

import { LvmsyncError } from '../base/errors.js';
import type { RunCommand } from '../host/subprocess.js';
import { statusOf } from '../lvm/dmsetup.js';
import { SECTOR_SIZE } from '../lvm/dmsetup-lines.js';
import { askHost } from '../lvm/host-tools.js';
import { listTaggedVolumes, type TaggedVolume } from '../lvm/lvs-report.js';
import { deviceUuid } from '../lvm/thick-snapshot.js';
import { CYCLE_TAG, isUseTag, REMEMBERED, usesOfTags, useTag } from './names.js';
import { type CycleOrigin, type CycleSnapshot, ofChain } from './volumes.js';

export interface CycleStore {
  readonly snapshot: CycleSnapshot;
  /** Bytes. */
  readonly size: number;
  /** Bytes, its own lists among them; its size, where it overflowed. */
  readonly used: number;
  /** Bytes that those before it used, the newest first. */
  readonly formerUses: readonly number[];
}

/** Oldest first; those that the kernel does not know are left out, and those that nobody can go on from. */
export async function readCycleStores(
  origin: CycleOrigin,
  tag: string,
  run: RunCommand = askHost,
): Promise<readonly CycleStore[]> {
  if (origin.kind === 'thin') return [];
  const volumes = await listTaggedVolumes(origin.vgName, run);
  const stores: CycleStore[] = [];
  for (const snapshot of ofChain(volumes, origin, tag)) {
    const volume = volumes.find(({ uuid }) => uuid === snapshot.uuid);
    if (volume === undefined || !['whole', 'lost'].includes(snapshot.state)) continue;
    const used = await readUse(volume, run);
    const { size, tags } = volume;
    if (used !== undefined) stores.push({ snapshot, size, used, formerUses: usesOfTags(tags) });
  }
  return stores;
}

/** Undefined: it is not active. */
async function readUse(volume: TaggedVolume, run: RunCommand): Promise<number | undefined> {
  if (volume.invalid) return volume.size;
  try {
    const [target] = await statusOf(deviceUuid(volume), run, { code: 'sourceUnfit' });
    if (target?.type !== 'snapshot') return undefined;
    return 'fault' in target ? volume.size : target.usage.allocatedSectors * SECTOR_SIZE;
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    return undefined;
  }
}

/**
 * What the snapshots up to now had to hold, the newest first. `base` is undefined for a full copy; then the newest
 * counts. One that overflowed would have needed more than it had.
 */
export function usesUpTo(
  base: Pick<CycleSnapshot, 'uuid'> | undefined,
  stores: readonly CycleStore[],
): readonly number[] {
  const former = stores.find(({ snapshot }) => snapshot.uuid === base?.uuid) ?? stores.at(-1);
  if (former === undefined) return [];
  const lost = stores.filter(({ snapshot }) => snapshot.state === 'lost').map(({ size }) => size);
  return [Math.max(former.used, ...lost), ...former.formerUses].slice(0, REMEMBERED);
}

/**
 * Once the base is no longer needed: what it had to hold by now replaces, in the tag of the next one, what that was
 * when the next one was made. May be repeated; until it is done the former tag is nearly as good.
 */
export async function rememberUse(
  { base, next }: { readonly base: CycleSnapshot; readonly next: CycleSnapshot },
  { origin, tag }: { readonly origin: CycleOrigin; readonly tag: string },
  run: RunCommand = askHost,
): Promise<void> {
  const volumes = await listTaggedVolumes(origin.vgName, run);
  const older = volumes.find(({ uuid }) => uuid === base.uuid);
  const newer = volumes.find(({ uuid }) => uuid === next.uuid);
  const used = older && (await readUse(older, run));
  if (older === undefined || newer === undefined || used === undefined) return;
  const [begun = 0] = usesOfTags(newer.tags);
  const wanted = useTag([Math.max(begun, used), ...usesOfTags(older.tags)]);
  const former = newer.tags.filter(isUseTag);
  if (former.length === 1 && former[0] === wanted) return;
  const changes = [
    ...['--addtag', wanted],
    ...former.filter((one) => one !== wanted).flatMap((one) => ['--deltag', one]),
  ];
  const which = `lv_uuid="${next.uuid}" && lv_tags={"${CYCLE_TAG}" && "${tag}"}`;
  await run(['lvchange', '-q', ...changes, '--select', which, '--', next.vgName], {
    code: 'sourceUnfit',
    shielded: true,
  });
}

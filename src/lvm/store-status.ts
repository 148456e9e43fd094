/** The output of `dmsetup status` for the stores that a run depends on. */

import type { RunCommand } from '../host/subprocess.js';
import type { Fill } from '../run/progress.js';
import { statusOf } from './dmsetup.js';
import type { StatusTarget } from './dmsetup-status.js';

export interface Store {
  /** VG/LV of the snapshot, or VG/POOL. */
  readonly name: string;
  /** The device whose status line shows how it fares: a name may change while it is open. */
  readonly dmUuid: string;
}

export interface StoreStatus {
  readonly store: Store;
  readonly target: StatusTarget;
}

/** Throws (sourceUnfit), or the reason of the signal, which ends the tool. */
export async function readStores(
  stores: readonly Store[],
  run: RunCommand,
  signal?: AbortSignal,
): Promise<StoreStatus[]> {
  const distinct = new Map(stores.map((store) => [store.dmUuid, store]));
  const found: StoreStatus[] = [];
  for (const store of distinct.values()) {
    const targets = await statusOf(store.dmUuid, run, {
      code: 'sourceUnfit',
      ...(signal && { signal }),
    });
    found.push(...targets.map((target) => ({ store, target })));
  }
  return found;
}

/** Percent: from here on it may be full before a long run is done. */
const NEARLY_FULL = 80;

/** What threatens where it is nearly full, and the command that makes room. */
export function whenNearlyFull({
  name,
  what,
  percent,
}: Fill): { readonly threat: string; readonly remedy: string } | undefined {
  if (percent < NEARLY_FULL) return undefined;
  const option = what === 'metadata' ? '--poolmetadatasize' : '--size';
  // A pool loses nothing that it holds.
  const threat =
    what === 'COW store'
      ? 'the snapshot is lost if it overflows'
      : 'if it fills up, writes to its volumes fail';
  return { threat, remedy: `Make room: lvextend ${option} +SIZE ${name}.` };
}

/** The parts of a store that fill, and how full they are. Nothing unless it is a store that works. */
export function fillsOf({ store: { name }, target }: StoreStatus): Fill[] {
  if ('fault' in target) return [];
  if (target.type === 'snapshot') {
    const { allocatedSectors, totalSectors } = target.usage;
    return [{ name, what: 'COW store', percent: (100 * allocatedSectors) / totalSectors }];
  }
  if (target.type !== 'thin-pool') return [];
  const { usedDataBlocks, totalDataBlocks, usedMetadataBlocks, totalMetadataBlocks } = target;
  return [
    { name, what: 'data', percent: (100 * usedDataBlocks) / totalDataBlocks },
    { name, what: 'metadata', percent: (100 * usedMetadataBlocks) / totalMetadataBlocks },
  ];
}

/** All cycles whose snapshots are among the volumes of a host. Pure. */

import type { FilledVolume } from '../lvm/lvs-report.js';
import { CYCLE_TAG, chainTagOf, snapshotName, timeOfTags } from './names.js';
import { type CycleSnapshot, ofChain } from './volumes.js';

/** A snapshot of a cycle, with its volume. */
export interface FoundSnapshot extends CycleSnapshot {
  readonly volume: FilledVolume;
}

/** The snapshots of one volume with one tag of a chain. */
export interface FoundCycle {
  readonly origin: FilledVolume;
  readonly tag: string;
  /** Oldest first; never empty. */
  readonly snapshots: readonly FoundSnapshot[];
}

export interface FoundCycles {
  /** By the names of their origins. */
  readonly cycles: readonly FoundCycle[];
  /** A cycle made them, and no volume or no chain is theirs any more. */
  readonly strays: readonly FilledVolume[];
}

export function findCycles(volumes: readonly FilledVolume[]): FoundCycles {
  const tagged = volumes.filter(({ tags }) => tags.includes(CYCLE_TAG));
  const found = new Map<string, FoundCycle>();
  const strays: FilledVolume[] = [];
  for (const volume of tagged) {
    const origin = originOf(volume, volumes);
    const tag = chainTagOf(volume.tags);
    const snapshots =
      origin === undefined || tag === undefined
        ? []
        : withVolumes(ofChain(tagged, origin, tag), tagged);
    if (!origin || !tag || !snapshots.some(({ uuid }) => uuid === volume.uuid)) {
      strays.push(volume);
    } else found.set(`${nameOf(origin)} ${tag}`, { origin, tag, snapshots });
  }
  const sorted = [...found].sort(([one], [other]) => one.localeCompare(other));
  return { cycles: sorted.map(([, cycle]) => cycle), strays };
}

/** The COW store of a snapshot that is being made has no origin yet: its name tells. */
function originOf(
  snapshot: FilledVolume,
  volumes: readonly FilledVolume[],
): FilledVolume | undefined {
  const { origin, vgName, lvName, tags } = snapshot;
  if (origin !== undefined) return volumes.find(({ uuid }) => uuid === origin.uuid);
  const time = timeOfTags(tags);
  if (time === undefined) return undefined;
  return volumes.find((one) => one.vgName === vgName && snapshotName(one, time) === lvName);
}

function withVolumes(
  snapshots: readonly CycleSnapshot[],
  volumes: readonly FilledVolume[],
): readonly FoundSnapshot[] {
  return snapshots.flatMap((snapshot) => {
    const volume = volumes.find(({ uuid }) => uuid === snapshot.uuid);
    return volume === undefined ? [] : [{ ...snapshot, volume }];
  });
}

function nameOf({ vgName, lvName }: FilledVolume): string {
  return `${vgName}/${lvName}`;
}

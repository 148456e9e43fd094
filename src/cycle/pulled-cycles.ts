/** The cycles of a volume that are pulled under one name. */

import type { RunCommand } from '../host/subprocess.js';
import { askHost } from '../lvm/host-tools.js';
import { listTaggedVolumes } from '../lvm/lvs-report.js';
import { CYCLE_TAG, chainTagOf, pulledScope } from './names.js';
import { type CycleOrigin, type CycleSnapshots, ofChain } from './volumes.js';

/** Each with its snapshots, of which it has at least one. */
export async function findPulled(
  origin: CycleOrigin,
  name: string,
  run: RunCommand = askHost,
): Promise<readonly CycleSnapshots[]> {
  const scope = pulledScope(name);
  const volumes = await listTaggedVolumes(origin.vgName, run);
  const tags = volumes
    .filter(({ tags }) => tags.includes(CYCLE_TAG))
    .flatMap(({ tags }) => chainTagOf(tags) ?? [])
    .filter((tag) => tag.startsWith(scope));
  return [...new Set(tags)]
    .map((tag) => ({ tag, snapshots: ofChain(volumes, origin, tag) }))
    .filter(({ snapshots }) => snapshots.length > 0);
}

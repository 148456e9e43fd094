/**
 * `lvs`, the volume group's metadata (vgcfgbackup) and the kernel (dmsetup) have to agree about a volume: the
 * refusal of one that they describe differently.
 */

import type { RunCommand } from '../host/subprocess.js';
import { formatDeviceName, type VolumeName } from './device-name.js';
import { tableOf } from './dmsetup.js';
import type { TargetPlace } from './dmsetup-lines.js';
import type { TableTarget } from './dmsetup-table.js';
import { unfit } from './unfit-volume.js';

const UNFIT = { code: 'sourceUnfit' } as const;

/** The statement of one witness about one property. */
export interface Reading {
  readonly what: string;
  readonly by: string;
  readonly value: string | number | undefined;
}

/** Throws LvmsyncError 'sourceUnfit' unless all claims about the same property have the same value. */
export function requireAgreement(volume: VolumeName, claims: readonly Reading[]): void {
  for (const { what } of claims) {
    const said = claims.filter((claim) => claim.what === what);
    if (new Set(said.map(({ value }) => value)).size === 1) continue;
    const words = said.map(({ by, value }) => `${by}: ${value ?? 'nothing'}`).join(', ');
    throw unfit(
      volume,
      `LVM and the kernel disagree about its ${what} (${words})`,
      'Another LVM command may be running: try again when it has finished.',
    );
  }
}

/** The targets in the table of one device, which has to exist. */
export async function readTargets(
  volume: VolumeName,
  run: RunCommand,
): Promise<readonly (TargetPlace & TableTarget)[]> {
  return tableOf(formatDeviceName(volume), run, UNFIT);
}

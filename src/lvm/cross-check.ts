/**
 * What the volume group's metadata (vgcfgbackup) and the kernel (dmsetup) say of a volume, beside
 * `lvs`, and the refusal of a volume that they describe differently.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LvmsyncError } from '../base/errors.js';
import { withScratchFolder } from '../host/scratch-folder.js';
import type { RunCommand } from '../host/subprocess.js';
import { formatDeviceName, type VolumeName } from './device-name.js';
import { tableOf } from './dmsetup.js';
import type { TargetPlace } from './dmsetup-lines.js';
import type { TableTarget } from './dmsetup-table.js';
import { type ConfigSection, findSection, parseLvmConfig } from './lvm-config.js';
import { unfit } from './refusal.js';

const UNFIT = { code: 'sourceUnfit' } as const;

/** What one witness says about one property. */
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
      'Another LVM command may be at work: try again when it has ended.',
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

/** The group's section of vgcfgbackup's text, which exists only while this runs and for us alone. */
export async function readMetadata(vgName: string, run: RunCommand): Promise<ConfigSection> {
  const text = await withScratchFolder(async (folder) => {
    const file = join(folder, 'metadata');
    // vgcfgbackup takes the name as a printf template. It renames over it: no pipe and no /dev/stdout will do.
    await run(['vgcfgbackup', '-f', file.replaceAll('%', '%%'), '--', vgName], UNFIT);
    return readFile(file, 'utf8');
  });
  const group = findSection(parseLvmConfig(text), vgName);
  if (group !== undefined) return group;
  throw new LvmsyncError('sourceUnfit', `vgcfgbackup: no section "${vgName}" in its text`);
}

/** A volume group as one `lvs` and one `vgcfgbackup` describe it: all that is read of it is of one moment. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LvmsyncError } from '../base/errors.js';
import { withScratchFolder } from '../host/scratch-folder.js';
import type { RunCommand } from '../host/subprocess.js';
import { type ConfigSection, findInteger, findSection, parseLvmConfig } from './lvm-config.js';
import { listVolumes, type Volume } from './lvs-report.js';

export class VolumeGroup {
  readonly name: string;
  /** Internal ones too. */
  readonly volumes: readonly Volume[];
  /** Asks the kernel, too, about its volumes. */
  readonly run: RunCommand;
  #metadata: Promise<ConfigSection> | undefined;

  private constructor(name: string, volumes: readonly Volume[], run: RunCommand) {
    this.name = name;
    this.volumes = volumes;
    this.run = run;
  }

  /** Throws LvmsyncError 'sourceUnfit'. */
  static async list(name: string, run: RunCommand): Promise<VolumeGroup> {
    return new VolumeGroup(name, await listVolumes(name, run), run);
  }

  /** The group's section of its metadata, asked for once. */
  metadata(): Promise<ConfigSection> {
    this.#metadata ??= readMetadata(this.name, this.run);
    return this.#metadata;
  }
}

/** Seconds since 1970 as the group's metadata have it, for the description of a volume; nothing where they do not say. */
export function creationTime(
  group: ConfigSection,
  lvName: string,
): { readonly createdAt?: number } {
  const section = findSection(group, 'logical_volumes', lvName);
  const createdAt = section && findInteger(section, 'creation_time');
  return createdAt === undefined ? {} : { createdAt };
}

/** The group's section of vgcfgbackup's text, which exists only while this runs and for us alone. */
async function readMetadata(vgName: string, run: RunCommand): Promise<ConfigSection> {
  const text = await withScratchFolder(async (folder) => {
    const file = join(folder, 'metadata');
    // vgcfgbackup takes the name as a printf template. It renames over it: no pipe and no /dev/stdout will do.
    await run(['vgcfgbackup', '-f', file.replaceAll('%', '%%'), '--', vgName], {
      code: 'sourceUnfit',
    });
    return readFile(file, 'utf8');
  });
  const group = findSection(parseLvmConfig(text), vgName);
  if (group !== undefined) return group;
  throw new LvmsyncError('sourceUnfit', `vgcfgbackup: no section "${vgName}" in its text`);
}

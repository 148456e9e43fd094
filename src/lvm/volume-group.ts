/** A volume group as one `lvs` and one `vgcfgbackup` describe it: all that is read of it is of one moment. */

import type { RunCommand } from '../host/subprocess.js';
import { readMetadata } from './cross-check.js';
import type { ConfigSection } from './lvm-config.js';
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

/** The source of a run: the list of changed extents, and the device that holds their data. */

import type { FileDevice } from '../device/block-device.js';
import type { ExtentList } from '../device/extent.js';
import type { SourceMember } from '../device/relation.js';
import type { WriteWatch } from '../device/write-watch.js';
import type { Store } from '../lvm/store-status.js';
import type { HelloAttributes } from '../stream/control-frame.js';

/** A volume whose former or present state a list begins or ends with. */
export interface ListedVolume {
  /** VG/LV */
  readonly name: string;
  readonly uuid: string;
  /** When LVM made it, in seconds since 1970; undefined where it does not say. */
  readonly createdAt: number | undefined;
}

export interface ListedVolumes {
  readonly from: ListedVolume;
  readonly to: ListedVolume;
}

/** Open; whoever opened it closes it. */
export interface Source {
  /** The data are read from it; its size is the size of the whole source. */
  readonly device: FileDevice;
  /** All that may differ from the destination. */
  readonly extents: ExtentList;
  /** The part of `extents` that is known to read as zeros, and need not be read. */
  readonly zeros: ExtentList;
  /**
   * Bytes that a copy has to hold already, since only `extents` are sent: what the source held at the
   * snapshot. 0 where everything is sent.
   */
  readonly copySize: number;
  /**
   * What a copy may begin with, see head-kind: what the source begins with now, and what it began with at the
   * snapshot, which the copy holds before the run and has again after an undo.
   */
  readonly headKinds: readonly string[];
  /** Bytes: the unit of change. */
  readonly chunkSize: number;
  /** Everything this run depends on: none of it may be written. */
  readonly members: readonly SourceMember[];
  readonly attributes: HelloAttributes;
  /** The list leads from the state of the one to that of the other; absent where LVM was not asked. */
  readonly volumes?: ListedVolumes;
  /** Chunks in the COW store of a thick snapshot; absent where there is none. */
  readonly storedChunks?: number;
  /** Stores that fill while the run depends on them, but for the one that `device` itself is a view of. */
  readonly stores: readonly Store[];
  /** The watch of `device`, since before the list of changes was read. */
  readonly watch: WriteWatch;
  /** One line if the snapshot broke meanwhile: what was sent is right, a next run will not be. */
  findLateFault(): Promise<string | undefined>;
  close(): Promise<void>;
}

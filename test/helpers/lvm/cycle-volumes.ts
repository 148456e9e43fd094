/** Volumes with the tags of cycles, as lvs would list them. */

import { CYCLE_TAG, snapshotName, timeTag } from '../../../src/cycle/names.js';
import type { FilledVolume } from '../../../src/lvm/lvs-report.js';

export const TAG = 'lvmsync_0123456789ab';

/** A thick volume of vg0 that is active; `uuid-NAME` is its uuid. */
export function volume(lvName: string, more: Partial<FilledVolume> = {}): FilledVolume {
  return {
    ...{ vgName: 'vg0', vgUuid: 'uuid-vg0', lvName, uuid: `uuid-${lvName}`, size: 4096 },
    ...{ path: `/dev/mapper/vg0-${lvName}`, roles: ['public'], segmentType: 'linear' },
    ...{ deviceNumber: '253:0', origin: undefined, originSize: undefined, chunkSize: undefined },
    ...{ merging: false, mergeFailed: false, invalid: false, poolName: '', thinId: undefined },
    ...{ tags: [], dataPercent: undefined, metadataPercent: undefined },
    ...more,
  };
}

/** Thick, 10% full, and whole. */
export function cycleSnapshot(
  origin: FilledVolume,
  time: string,
  more: Partial<FilledVolume> & { readonly tag?: string } = {},
): FilledVolume {
  const { tag = TAG, ...others } = more;
  return volume(snapshotName(origin, time), {
    origin: { lvName: origin.lvName, uuid: origin.uuid },
    tags: [CYCLE_TAG, tag, timeTag(time)],
    dataPercent: 10,
    ...others,
  });
}

/** Inactive, as a thin one is between two runs. */
export function thinSnapshot(origin: FilledVolume, time: string): FilledVolume {
  const { poolName } = origin;
  const thin = { segmentType: 'thin', poolName, deviceNumber: undefined, dataPercent: undefined };
  return cycleSnapshot(origin, time, thin);
}

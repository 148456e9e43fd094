/** A COW store without its volume group: a copy in a file, or a device of a group that is not there. */

import { humanSize } from '../base/text.js';
import { NO_EXTENTS } from '../device/extent.js';
import { headKindsOf } from '../device/head-kind.js';
import { withDevices } from '../device/open-devices.js';
import { WriteWatch } from '../device/write-watch.js';
import { refuseRunningMerge } from '../lvm/origin-merge.js';
import type { Reporter } from '../run/reporter.js';
import { wholeBlocks } from './pool-blocks.js';
import type { SourceRequest } from './request.js';
import type { Source } from './source.js';
import { readOfflineStore } from './thick-changes.js';

export function openOffline(
  request: SourceRequest & { kind: 'cowStore' },
  reporter: Reporter,
): Promise<Source> {
  return withDevices(reporter, async (opened) => {
    const cowStore = await opened.open(request.cowStore, 'cowStore');
    const device = await opened.open(request.dataSource, 'source');
    const members = [
      { identity: device.identity, role: 'the data source' },
      { identity: cowStore.identity, role: 'the COW store' },
    ];
    await refuseRunningMerge(members);
    const watch = await WriteWatch.begin(device);
    const { exceptions, extents, chunkSize } = await readOfflineStore(cowStore, device.size);
    reporter.verbose(`${cowStore.path}: ${exceptions} chunks of ${humanSize(chunkSize)} changed`);
    return {
      device,
      extents: await wholeBlocks(extents, device, reporter),
      zeros: NO_EXTENTS,
      // A COW store does not record how large its origin was; nothing is sent behind what it lists.
      copySize: device.size,
      headKinds: await headKindsOf([device]),
      chunkSize,
      members,
      attributes: { devicePath: device.path },
      storedChunks: exceptions,
      stores: [],
      watch,
      findLateFault: async () => undefined,
      close: () => opened.close(),
    };
  });
}

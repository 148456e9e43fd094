/**
 * A thick snapshot of what lies in a thin pool that does not zero new blocks (lvcreate -Zn). The first write into
 * a block changes all of it, from zeros to what the pool held there before; the snapshot lists only the chunk
 * that was written.
 */

import { LvmsyncError } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import type { FileDevice } from '../device/block-device.js';
import type { ExtentList } from '../device/extent.js';
import { widen } from '../device/extent-sets.js';
import { readMappedTable } from '../lvm/dmsetup.js';
import { findUnzeroed } from '../lvm/unzeroed-blocks.js';
import type { Reporter } from '../run/reporter.js';

/**
 * The changes, as whole blocks of the pool where the origin lies in such a one. Throws (sourceUnfit) where blocks
 * of such a pool lie below it in a way that hides where they begin.
 */
export async function wholeBlocks(
  changes: ExtentList,
  origin: FileDevice,
  reporter: Pick<Reporter, 'verbose'>,
): Promise<ExtentList> {
  if (!origin.info.blockDevice) return changes;
  const { stretches, hidden } = await findUnzeroed(origin, { readTable: readMappedTable });
  if (hidden !== undefined) throw hiddenBlocks(origin.path, hidden);
  const [first] = stretches;
  if (first === undefined) return changes;
  reporter.verbose(
    `${origin.path}: its thin pool does not zero new blocks: whole blocks of ${humanSize(first.blockSize)} count as changed`,
  );
  return stretches.reduce(widen, changes);
}

function hiddenBlocks(path: string, hidden: string): LvmsyncError {
  return new LvmsyncError(
    'sourceUnfit',
    `${path}: it lies on the thin volume ${hidden}, whose pool does not zero new blocks, so the snapshot may not list all changes`,
    {
      state: 'Nothing was written.',
      hint: 'Make a full copy. To avoid this in future, let the pool zero new blocks: lvchange -Zy VG/POOL',
    },
  );
}

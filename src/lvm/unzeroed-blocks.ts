/**
 * Where a destination lies in a thin pool that does not zero new blocks (skip_block_zeroing, lvcreate -Zn).
 * The kernel's tables decide: LVM's own record is not asked, and the volume need not be LVM's.
 */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import type { FileDevice } from '../device/block-device.js';
import type { PoolStretch } from '../host/native.js';
import { readLine } from '../host/virtual-files.js';
import type { ReadTable } from './dmsetup.js';
import { SECTOR_SIZE, type TargetPlace } from './dmsetup-lines.js';
import { parseTable, type TableTarget } from './dmsetup-table.js';

/** Bytes [start, end) of the destination are at start + shift and on of a device. */
interface View {
  readonly device: string;
  readonly start: number;
  readonly end: number;
  readonly shift: number;
}

/** In bytes; undefined where it is not known. */
type SizeOf = (device: string) => number | undefined;

/**
 * Looks through linear targets and the layer that thick snapshots put over a volume: these leave bytes as
 * they are. What else lies over a thin volume, such as encryption, does not read as zeros where that does.
 */
export async function findUnzeroed(
  { info, size }: Pick<FileDevice, 'info' | 'size'>,
  readTable: ReadTable,
  sizeOf: SizeOf = deviceSize,
): Promise<PoolStretch[]> {
  const device = `${info.major}:${info.minor}`;
  const found: PoolStretch[] = [];
  const views: View[] = [{ device, start: 0, end: size, shift: 0 }];
  for (let view = views.pop(); view !== undefined; view = views.pop()) {
    const table = await readTable(view.device);
    for (const target of table === undefined ? [] : parseTable(table)) {
      const part = within(view, target);
      if (part === undefined) continue;
      if (target.type === 'linear') {
        const { device, offsetSectors } = target;
        const shift = part.shift + (offsetSectors - target.start) * SECTOR_SIZE;
        views.push({ ...part, device, shift });
      } else if (target.type === 'snapshot-origin') {
        views.push({ ...part, device: target.device });
      } else if (target.type === 'thin') {
        found.push(...(await unzeroedPart(part, target, { readTable, sizeOf })));
      }
    }
  }
  return found;
}

/** The part of the view that lies in the target. */
function within(view: View, { start, length }: TargetPlace): View | undefined {
  const first = Math.max(view.start, start * SECTOR_SIZE - view.shift);
  const end = Math.min(view.end, (start + length) * SECTOR_SIZE - view.shift);
  return first < end ? { ...view, start: first, end } : undefined;
}

async function unzeroedPart(
  { start, end, shift }: View,
  { pool, externalOrigin }: Extract<TableTarget, { type: 'thin' }>,
  { readTable, sizeOf }: { readonly readTable: ReadTable; readonly sizeOf: SizeOf },
): Promise<PoolStretch[]> {
  const table = await readTable(pool);
  const [target] = table === undefined ? [] : parseTable(table);
  if (target?.type !== 'thin-pool' || target.zeroesNewBlocks) return [];
  const blockSize = target.blockSizeSectors * SECTOR_SIZE;
  // The kernel copies from there what lies within the origin.
  const copied = externalOrigin === undefined ? 0 : (sizeOf(externalOrigin) ?? 0);
  const bareFrom = Math.max(0, copied - shift);
  // Where blocks begin is all that counts of it.
  const phase = ((shift % blockSize) + blockSize) % blockSize;
  return [{ start, end, blockSize, shift: phase, bareFrom }];
}

function deviceSize(device: string): number | undefined {
  const sectors = readLine(`/sys/dev/block/${device}/size`);
  return sectors === undefined ? undefined : Number(sectors) * SECTOR_SIZE;
}

const MIB = 1024 * 1024;

/**
 * Receivers of several streams do not see what the others write. Streams are cut at whole MiB: throws
 * (destinationUnfit) where a block may lie on both sides of such a cut.
 */
export function refuseSharedBlocks(stretches: readonly PoolStretch[], path: string): void {
  const shared = stretches.find(
    ({ blockSize, shift }) => MIB % blockSize !== 0 || shift % blockSize !== 0,
  );
  if (shared === undefined) return;
  throw new LvmsyncError(
    'destinationUnfit',
    `${path}: its thin pool does not zero new blocks, and two streams may meet in one of them (${humanSize(shared.blockSize)} each)`,
    { ...UNTOUCHED, hint: 'Send it as one stream, without --streams.' },
  );
}

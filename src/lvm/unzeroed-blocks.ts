/**
 * Where a device lies in a thin pool that does not zero new blocks (skip_block_zeroing, lvcreate -Zn).
 * The kernel's tables decide: LVM's own record is not asked, and the volume need not be LVM's.
 */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import type { FileDevice } from '../device/block-device.js';
import { Topology } from '../device/topology.js';
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

export interface UnzeroedEffects {
  readonly readTable: ReadTable;
  readonly sizeOf?: SizeOf;
  readonly topology?: Topology;
}

export interface Unzeroed {
  /** Ascending; the parts of the device that lie in such pools. */
  readonly stretches: readonly PoolStretch[];
  /**
   * A thin volume in such a pool that lies below in a way through which its blocks cannot be seen, such as
   * stripes; undefined for none.
   */
  readonly hidden: string | undefined;
}

/** Where one of these reads as zeros the device below does not: nobody counts on zeros there. */
const OPAQUE: ReadonlySet<string> = new Set(['crypt', 'integrity', 'verity', 'vdo', 'zero']);

/** Looks through what shows the bytes of another device as they are, or a part of them. */
export async function findUnzeroed(
  { info, size }: Pick<FileDevice, 'info' | 'size'>,
  effects: UnzeroedEffects,
): Promise<Unzeroed> {
  const { readTable, sizeOf = deviceSize, topology = new Topology() } = effects;
  const device = `${info.major}:${info.minor}`;
  const stretches: PoolStretch[] = [];
  let hidden: string | undefined;
  const views: View[] = [{ device, start: 0, end: size, shift: 0 }];
  for (let view = views.pop(); view !== undefined; view = views.pop()) {
    const { carrier, isMixed } = topology.window({ kind: 'block', device: view.device });
    if (carrier !== undefined) {
      views.push({ ...view, device: carrier.device, shift: view.shift + carrier.offset });
      continue;
    }
    const table = isMixed ? undefined : await readTable(view.device);
    let isMixedHere = isMixed;
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
        stretches.push(...(await unzeroedPart(part, target, { readTable, sizeOf })));
      } else if (target.type === 'other' && !OPAQUE.has(target.target)) isMixedHere = true;
    }
    if (isMixedHere) hidden ??= await findBelow(view.device, { readTable, topology });
  }
  return { stretches: stretches.sort((a, b) => a.start - b.start), hidden };
}

/** The name of a thin volume in such a pool that any of the device's bytes may lie on. */
async function findBelow(
  device: string,
  { readTable, topology }: { readonly readTable: ReadTable; readonly topology: Topology },
): Promise<string | undefined> {
  for (const below of topology.builtOn({ kind: 'block', device })) {
    if (below.kind === 'file') continue;
    const table = await readTable(below.device);
    for (const target of table === undefined ? [] : parseTable(table)) {
      if (target.type !== 'thin') continue;
      if ((await bareBlockSize(target.pool, readTable)) !== undefined) return topology.name(below);
    }
  }
  return undefined;
}

/** Throws (destinationUnfit) if it is unknown which blocks of the pool a write begins. */
export function refuseHidden({ hidden }: Unzeroed, path: string): void {
  if (hidden === undefined) return;
  throw new LvmsyncError(
    'destinationUnfit',
    `${path}: it lies on the thin volume ${hidden}, whose pool does not zero new blocks, and the layers between hide which blocks are new`,
    {
      ...UNTOUCHED,
      hint: 'Write to the thin volume itself, or let the pool zero new blocks: lvchange -Zy VG/POOL',
    },
  );
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
  const blockSize = await bareBlockSize(pool, readTable);
  if (blockSize === undefined) return [];
  // The kernel copies from there what lies within the origin.
  const copied = externalOrigin === undefined ? 0 : (sizeOf(externalOrigin) ?? 0);
  const bareFrom = Math.max(0, copied - shift);
  // Where blocks begin is all that counts of it.
  const phase = ((shift % blockSize) + blockSize) % blockSize;
  return [{ start, end, blockSize, shift: phase, bareFrom }];
}

/** Bytes; undefined for a pool that zeroes new blocks. */
async function bareBlockSize(pool: string, readTable: ReadTable): Promise<number | undefined> {
  const table = await readTable(pool);
  const [target] = table === undefined ? [] : parseTable(table);
  if (target?.type !== 'thin-pool' || target.zeroesNewBlocks) return undefined;
  return target.blockSizeSectors * SECTOR_SIZE;
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
    `${path}: its thin pool does not zero new blocks, and two streams could write to the same block (of ${humanSize(shared.blockSize)})`,
    { ...UNTOUCHED, hint: 'Send it as one stream, without --streams.' },
  );
}

/**
 * How mapped devices fare: the lines of `dmsetup status`. Text in, values out. Line formats: Linux 6.1,
 * drivers/md/dm-snap.c and dm-thin.c.
 */

import { isCount, parseLines, type TargetPlace } from './dmsetup-lines.js';

export interface SnapshotUsage {
  readonly allocatedSectors: number;
  readonly totalSectors: number;
  readonly metadataSectors: number;
}

const SNAPSHOT_FAULTS = ['Invalid', 'Merge failed', 'Overflow', 'Unknown'] as const;
export type SnapshotFault = (typeof SNAPSHOT_FAULTS)[number];

export type StatusTarget =
  | { readonly type: 'snapshot' | 'snapshot-merge'; readonly usage: SnapshotUsage }
  | { readonly type: 'snapshot' | 'snapshot-merge'; readonly fault: SnapshotFault }
  | {
      readonly type: 'thin';
      readonly mappedSectors: number;
      readonly highestMappedSector: number | undefined;
    }
  | { readonly type: 'thin' | 'thin-pool'; readonly fault: 'Fail' | 'Error' }
  | ThinPoolStatus
  | { readonly type: 'snapshot-origin' | 'linear' | 'error' }
  | { readonly type: 'other'; readonly target: string };

export interface ThinPoolStatus {
  readonly type: 'thin-pool';
  readonly transactionId: number;
  /** In metadata blocks (4 KiB). */
  readonly usedMetadataBlocks: number;
  readonly totalMetadataBlocks: number;
  /** In data blocks of the pool. */
  readonly usedDataBlocks: number;
  readonly totalDataBlocks: number;
  /** Metadata block of the held root; undefined: no metadata snap is held. */
  readonly heldRoot: number | undefined;
  readonly mode: 'rw' | 'ro' | 'out_of_data_space';
  readonly discard: string;
  readonly noSpace: 'error_if_no_space' | 'queue_if_no_space';
  readonly needsCheck: boolean;
  readonly lowWaterBlocks: number | undefined;
}

/** Targets of all devices in `text`, in its order. Throws LvmsyncError on a line of another form. */
export function parseStatus(text: string): readonly (TargetPlace & StatusTarget)[] {
  return parseLines(text, statusTarget);
}

function statusTarget(target: string, fields: readonly string[]): StatusTarget | undefined {
  switch (target) {
    case 'snapshot':
    case 'snapshot-merge':
      return snapshotStatus(target, fields);
    case 'thin':
      return thinStatus(fields);
    case 'thin-pool':
      return thinPoolStatus(fields);
    case 'snapshot-origin':
    case 'linear':
    case 'error':
      return { type: target };
    default:
      return { type: 'other', target };
  }
}

function snapshotStatus(
  type: 'snapshot' | 'snapshot-merge',
  fields: readonly string[],
): StatusTarget | undefined {
  const fault = SNAPSHOT_FAULTS.find((known) => known === fields.join(' '));
  if (fault !== undefined) return { type, fault };
  const [usage = '', metadata = ''] = fields;
  const data = parseShare(usage);
  if (data === undefined || !isCount(metadata)) return undefined;
  const [allocatedSectors, totalSectors] = data;
  return { type, usage: { allocatedSectors, totalSectors, metadataSectors: Number(metadata) } };
}

function thinStatus([mapped = '', highest = '']: readonly string[]): StatusTarget | undefined {
  if (mapped === 'Fail' || mapped === 'Error') return { type: 'thin', fault: mapped };
  if (!isCount(mapped) || !(isCount(highest) || highest === '-')) return undefined;
  return {
    type: 'thin',
    mappedSectors: Number(mapped),
    highestMappedSector: highest === '-' ? undefined : Number(highest),
  };
}

function thinPoolStatus(fields: readonly string[]): StatusTarget | undefined {
  const [transaction = '', metadata = '', data = '', held = '', mode = ''] = fields;
  if (transaction === 'Fail' || transaction === 'Error') {
    return { type: 'thin-pool', fault: transaction };
  }
  const [discard = '', noSpace, needsCheck, lowWater = ''] = fields.slice(5);
  const metadataBlocks = parseShare(metadata);
  const dataBlocks = parseShare(data);
  if (metadataBlocks === undefined || dataBlocks === undefined) return undefined;
  if (!isCount(transaction) || !(isCount(held) || held === '-')) return undefined;
  if (mode !== 'rw' && mode !== 'ro' && mode !== 'out_of_data_space') return undefined;
  if (noSpace !== 'error_if_no_space' && noSpace !== 'queue_if_no_space') return undefined;
  return {
    type: 'thin-pool',
    transactionId: Number(transaction),
    usedMetadataBlocks: metadataBlocks[0],
    totalMetadataBlocks: metadataBlocks[1],
    usedDataBlocks: dataBlocks[0],
    totalDataBlocks: dataBlocks[1],
    heldRoot: held === '-' ? undefined : Number(held),
    mode,
    discard,
    noSpace,
    needsCheck: needsCheck === 'needs_check',
    lowWaterBlocks: isCount(lowWater) ? Number(lowWater) : undefined,
  };
}

/** "used/total" */
function parseShare(text: string): readonly [number, number] | undefined {
  const [used = '', total = '', ...rest] = text.split('/');
  if (!isCount(used) || !isCount(total) || rest.length > 0) return undefined;
  return [Number(used), Number(total)];
}

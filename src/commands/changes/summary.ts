/** What can be said of a list of changes in a few lines. Pure. */

import { formatObject } from '../../base/json-object.js';
import { localTime } from '../../base/local-time.js';
import { exactSize, humanSize } from '../../base/text.js';
import { sizeOption, storeSize } from '../../cycle/snapshot-size.js';
import { type ListedChanges, type Stretch, stretchesOf } from '../../device/stretches.js';
import { DeviceMap } from '../../stream/device-map.js';
import { amountOf, formatRows, type Row } from '../dry-run-report.js';
import type { ListHead } from './list.js';

/** Extents, and the bytes in them. */
interface Amount {
  count: number;
  bytes: number;
}

export interface Summary {
  readonly data: Readonly<Amount>;
  readonly zero: Readonly<Amount>;
  /** By the largest power of two that is not greater than the length, ascending; only those that occur. */
  readonly lengths: readonly (readonly [from: number, Readonly<Amount>])[];
  readonly map: DeviceMap;
  /** Bytes that a thick snapshot takes of these changes; undefined: not known. */
  readonly storeBytes: number | undefined;
}

interface SummarySource extends ListedChanges {
  readonly device: { readonly size: number };
  readonly chunkSize: number;
  readonly storedChunks?: number;
}

export function summaryOf(source: SummarySource): Summary {
  const { device, chunkSize, storedChunks } = source;
  const kinds = { data: nothing(), zero: nothing(), same: nothing() };
  const lengths = new Map<number, Amount>();
  const map = new DeviceMap();
  map.stretchTo(device.size);
  for (const stretch of stretchesOf(source)) {
    add(kinds[stretch.kind], stretch);
    const from = 2 ** Math.floor(Math.log2(stretch.length));
    const alike = lengths.get(from) ?? nothing();
    lengths.set(from, alike);
    add(alike, stretch);
    map.add(stretch.offset, stretch.length);
  }
  return {
    data: kinds.data,
    zero: kinds.zero,
    lengths: [...lengths].sort(([a], [b]) => a - b),
    map,
    storeBytes: storedChunks === undefined ? undefined : storeSize(storedChunks, chunkSize),
  };
}

function nothing(): Amount {
  return { count: 0, bytes: 0 };
}

function add(amount: Amount, { length }: Stretch): void {
  amount.count++;
  amount.bytes += length;
}

/** For a person. */
export function formatSummary(head: ListHead, summary: Summary): string {
  const { data, zero, map } = summary;
  const { deviceSize, chunkSize } = head;
  const rows: Row[] = [
    ['device', `${head.device}, ${exactSize(deviceSize)}, in chunks of ${humanSize(chunkSize)}`],
    ...volumeRows(head),
    ['data', amountOf({ ...data, of: deviceSize })],
    ['zeros', zero.count === 0 ? 'none known' : amountOf({ ...zero, of: deviceSize })],
    ['map', `|${map.draw()}| ${humanSize(map.cellSize)} per cell`],
    ['snapshot', neededRoom(summary, chunkSize)],
    ...lengthRows(summary),
  ];
  return formatRows(`Changes of ${head.to?.name ?? head.device}`, rows);
}

function volumeRows({ from, to }: ListHead): Row[] {
  return [['from', from] as const, ['to', to] as const].flatMap(([label, volume]): Row[] => {
    if (volume === null) return [];
    const { name, uuid, createdAt } = volume;
    return [
      [label, `${name} (${uuid})${createdAt === null ? '' : `, made ${localTime(createdAt)}`}`],
    ];
  });
}

function neededRoom({ storeBytes }: Summary, chunkSize: number): string {
  const what = 'a thick snapshot of the same age';
  if (storeBytes === undefined) return `the --size that ${what} would need is not known`;
  return `${what} would need --size ${sizeOption(storeBytes)}, with chunks of ${humanSize(chunkSize)}`;
}

const LONGEST_BAR = 20;

/** The bar is the share of the bytes. */
function lengthRows({ lengths }: Summary): Row[] {
  const most = Math.max(...lengths.map(([, { bytes }]) => bytes));
  const head = `${'at least'.padStart(10)}${'extents'.padStart(11)}${'bytes'.padStart(12)}`;
  if (lengths.length === 0) return [];
  return [
    ['lengths', head],
    ...lengths.map(([from, { count, bytes }]): Row => {
      const bar = '#'.repeat(Math.ceil((LONGEST_BAR * bytes) / most));
      const row = `${humanSize(from).padStart(10)}${String(count).padStart(11)}`;
      return ['', `${row}${humanSize(bytes).padStart(12)}  ${bar}`];
    }),
  ];
}

/** As a document. */
export function summaryJson(
  head: ListHead,
  { data, zero, lengths, map, storeBytes }: Summary,
): string {
  return formatObject({
    ...head,
    dataExtents: data.count,
    zeroExtents: zero.count,
    lengths: lengths.map(([from, { count, bytes }]) => ({ from, extents: count, bytes })),
    map: { cellSize: map.cellSize, shares: map.shares.map((share) => Number(share.toFixed(4))) },
    snapshotSize: storeBytes ?? null,
  });
}

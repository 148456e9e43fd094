/** The report of `--dry-run`: one row a fact. Pure. */

import { counted, escapeText, humanDuration, humanSize } from '../base/text.js';
import type { Measurement } from '../device/read-speed.js';
import type { Fill } from '../run/progress.js';

export type Row = readonly [label: string, text: string];

export interface SendingFacts {
  readonly path: string;
  /** Bytes: of the whole source. */
  readonly sourceSize: number;
  readonly extentCount: number;
  /** Bytes: of all extents. */
  readonly totalBytes: number;
  /** Bytes among them that are known to be zeros. */
  readonly zeroBytes: number;
  /** Zeros are given back at the destination where that can be done. */
  readonly discards: boolean;
  readonly fills: readonly Fill[];
  /** --bwlimit, bytes a second. */
  readonly bytesPerSecond: number | undefined;
  /** The speed of reading the source; undefined: there was nothing to read. */
  readonly reading: Measurement | undefined;
}

/** Bytes in so many extents, and their share of a volume. */
export function amountOf(part: {
  readonly bytes: number;
  readonly count: number;
  readonly of: number;
}): string {
  const { bytes, count, of } = part;
  const share = of === 0 ? 0 : (100 * bytes) / of;
  return `${humanSize(bytes)} (${bytes} bytes) in ${counted(count, 'extent')}, ${share.toFixed(1)}% of the volume`;
}

export function sendingRows(facts: SendingFacts): Row[] {
  const { path, sourceSize, totalBytes, extentCount, zeroBytes, discards } = facts;
  const manner = discards ? ', discarded at the destination where possible' : '';
  const sent = amountOf({ bytes: totalBytes, count: extentCount, of: sourceSize });
  return [
    ['source', `${path}, ${humanSize(sourceSize)}`],
    ['to be sent', sent],
    ...(zeroBytes === 0 ? [] : [['zeros', `${humanSize(zeroBytes)} of that${manner}`] as const]),
    ...facts.fills.map(
      ({ name, what, percent }): Row => [what, `of ${name}: ${percent.toFixed(1)}% full`],
    ),
    ...(facts.fills.some(({ what }) => what !== 'COW store') ? [METADATA_SNAP] : []),
    ['time', estimate(facts)],
  ];
}

/** The one thing that is changed. */
const METADATA_SNAP: Row = [
  'pool',
  'its metadata snap was reserved to list the changes, and has been released',
];

/** The slowest part that is known decides. */
function estimate({ totalBytes, zeroBytes, bytesPerSecond, reading }: SendingFacts): string {
  const bytes = totalBytes - zeroBytes;
  const measured = reading !== undefined && reading.bytes > 0 && reading.seconds > 0;
  const speed = measured ? reading.bytes / reading.seconds : undefined;
  if (bytesPerSecond !== undefined && (speed === undefined || bytesPerSecond <= speed)) {
    return `about ${humanDuration(bytes / bytesPerSecond)}, limited by --bwlimit`;
  }
  if (speed === undefined || reading === undefined) return 'unknown: nothing was measured';
  if (reading.bytes >= bytes) {
    return `reading it took ${reading.seconds.toFixed(2)} s; writing may be slower`;
  }
  const rate = `${humanSize(speed)} per second`;
  return `at least ${humanDuration(bytes / speed)}: the source was read at ${rate}; writing may be slower`;
}

const LABEL_WIDTH = 12;

/** Text of others in it is made harmless. */
export function formatRows(heading: string, rows: readonly Row[]): string {
  const lines = rows.map(([label, text]) => `  ${label.padEnd(LABEL_WIDTH)}${escapeText(text)}\n`);
  return `${escapeText(heading)}\n${lines.join('')}`;
}

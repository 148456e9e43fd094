/** The results of `lvmsync bench`, one row each, as a table and as JSON. Pure. */

import { objectIn } from '../../base/json-object.js';
import { escapeText, humanSize } from '../../base/text.js';

/** `read` source, `hash` and `lz4` of this or the other processor, `link`, `write` of the scratch file. */
export type Measured = 'read' | 'hash' | 'lz4' | 'link' | 'write';

export interface BenchRow {
  readonly what: Measured;
  /** The median of several samples. */
  readonly bytesPerSecond: number;
  /** Of these samples; older programs leave them out. */
  readonly lowest?: number;
  readonly highest?: number;
  /** For reads and writes: bytes. */
  readonly requestSize?: number;
  readonly order?: 'sequential' | 'random';
  /** For the link: connections at once. */
  readonly streams?: number;
  /** Of LZ4: bytes before for each byte after. */
  readonly ratio?: number;
  /** Past the page cache. */
  readonly direct?: boolean;
  /** The remote host that measured it. */
  readonly host?: string;
}

const LABEL_WIDTH = 36;
const RATE_WIDTH = 14;

const HEADINGS = ['measured'.padEnd(LABEL_WIDTH), 'per second'.padStart(RATE_WIDTH), '  samples'];

export const TABLE_HEADING = `${HEADINGS.join('')}\n`;

/** Text of others in it is made harmless. */
export function formatRow(row: BenchRow): string {
  const rate = humanSize(row.bytesPerSecond).padStart(RATE_WIDTH);
  const place = row.host === undefined ? '' : ` (${row.host})`;
  const cached = row.direct === false ? '  through the page cache' : '';
  const { lowest, highest } = row;
  const range =
    lowest === undefined || highest === undefined ? '' : `  ${formatRange({ lowest, highest })}`;
  return `${escapeText(labelOf(row)).padEnd(LABEL_WIDTH)}${rate}${range}${cached}${escapeText(place)}\n`;
}

/** From the slowest to the fastest sample. */
export function formatRange({
  lowest,
  highest,
}: {
  readonly lowest: number;
  readonly highest: number;
}): string {
  return `${humanSize(lowest)} to ${humanSize(highest)}`;
}

function labelOf({ what, requestSize = 0, order, streams = 1, ratio = 1 }: BenchRow): string {
  const requests = `${humanSize(requestSize).replace('.0', '')} ${order ?? ''}`;
  switch (what) {
    case 'read':
      return `reading the source, ${requests}`;
    case 'write':
      return `writing, ${requests}`;
    case 'hash':
      return 'framing and hashing';
    case 'lz4':
      return `LZ4, ${ratio.toFixed(2)} to 1`;
    case 'link':
      return `the link, ${streams === 1 ? '1 stream' : `${streams} streams`}`;
  }
}

const MEASURED: readonly string[] = ['read', 'hash', 'lz4', 'link', 'write'] satisfies Measured[];

/** Whether a line of another host is the last one of its rows. */
export function isAdvice(line: string): boolean {
  return objectIn(line, ({ what }) => what === 'advice') !== undefined;
}

/** Back from a line of another host that ends in JSON; undefined for anything else. */
export function parseRow(line: string): BenchRow | undefined {
  const fields = objectIn(line, (one) => 'bytesPerSecond' in one) ?? {};
  const { what, bytesPerSecond, lowest, highest, requestSize, order, direct } = fields;
  if (!isMeasured(what) || !isRate(bytesPerSecond)) return undefined;
  return {
    ...{ what, bytesPerSecond },
    ...(isRate(lowest) && isRate(highest) && { lowest, highest }),
    ...(typeof requestSize === 'number' && { requestSize }),
    ...((order === 'sequential' || order === 'random') && { order }),
    ...(typeof direct === 'boolean' && { direct }),
  };
}

function isRate(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isMeasured(what: unknown): what is Measured {
  return typeof what === 'string' && MEASURED.includes(what);
}

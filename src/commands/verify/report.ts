/** The findings of a verify, for a person and for a program. Pure. */

import { formatObject } from '../../base/json-object.js';
import { escapeText, humanSize } from '../../base/text.js';
import type { Differences } from '../../pipeline/compare.js';

export interface Findings {
  readonly source: string;
  readonly destination: string;
  readonly comparedBytes: number;
  /** Everything was compared; otherwise only what a sync would send. */
  readonly full: boolean;
  /** The size of the whole source. */
  readonly sourceBytes: number;
  readonly found: Differences;
  /** Bytes that were sent before this was compared; 0 for a comparison without a repair. */
  readonly repairedBytes: number;
}

/** Ranges that are listed; all are counted. */
const SHOWN = 10;

export function describeAsText(findings: Findings): string {
  const { source, destination, comparedBytes, full, found, repairedBytes } = findings;
  const [here, there] = [source, destination].map((name) => escapeText(name));
  const compared = `${humanSize(comparedBytes)} compared`;
  const before = repairedBytes === 0 ? '' : `${humanSize(repairedBytes)} sent. `;
  if (found.bytes === 0) {
    if (full) return `${before}${there} equals ${here}: ${compared}\n`;
    const all = `--full compares all ${humanSize(findings.sourceBytes)}`;
    return `${before}${there} equals ${here} in the changed blocks: ${compared}; ${all}\n`;
  }
  const ranges = found.count === 1 ? '1 range' : `${found.count} ranges`;
  const share = `${humanSize(found.bytes)} of ${compared}`;
  const rows = found
    .first(SHOWN)
    .map(
      ({ offset, length }) => `  byte ${offset} to ${offset + length - 1} (${humanSize(length)})\n`,
    );
  const more = found.count > SHOWN ? `  and ${found.count - SHOWN} more\n` : '';
  return `${before}${there} differs from ${here} in ${ranges}, ${share}:\n${rows.join('')}${more}`;
}

/** One line; docs/format.md says what the names mean. */
export function describeAsJson(findings: Findings): string {
  const { found, ...rest } = findings;
  const about = {
    ...rest,
    equal: found.bytes === 0,
    differentBytes: found.bytes,
    differentRanges: found.count,
    firstRanges: found.first(SHOWN),
  };
  return formatObject(about);
}

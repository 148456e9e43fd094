/** Random sources and destinations, and the changes between them. */

import { ExtentList } from '../../../src/device/extent.js';
import type { Random } from '../random.js';
import type { StreamRecord } from '../streams/stream-parts.js';

export interface ShapeOptions {
  /** Bytes. */
  readonly size: number;
  /** Of the unit that changes; extents begin and end anywhere where it is odd. Bytes. */
  readonly unit: number;
  /** How many units change. */
  readonly changed: number;
}

/** A source, and the destination that is to become like it. */
export interface Shape {
  readonly size: number;
  readonly extents: ExtentList;
  readonly content: Buffer;
  readonly former: Buffer;
}

export function randomShape(random: Random, { size, unit, changed }: ShapeOptions): Shape {
  const content = Buffer.alloc(size, random.bytes(8192 + 1));
  const former = Buffer.from(content);
  const units = random.distinct(changed, Math.floor(size / unit)).sort((a, b) => a - b);
  const pairs: number[] = [];
  for (const number of units) {
    const offset = number * unit;
    former.fill(random.bytes(257), offset, offset + unit);
    const previous = pairs.length - 2;
    const end = (pairs[previous] ?? 0) + (pairs[previous + 1] ?? 0);
    if (previous >= 0 && end === offset) pairs[previous + 1] = (pairs[previous + 1] ?? 0) + unit;
    else pairs.push(offset, unit);
  }
  return { size, extents: new ExtentList(Float64Array.from(pairs)), content, former };
}

/** The new content, one record an extent or part of one, in random order, in groups of a few. */
export function randomGroups(
  random: Random,
  { extents, content }: Shape,
  longest: number,
): StreamRecord[][] {
  const records: StreamRecord[] = [];
  for (let i = 0; i < extents.pairs.length; i += 2) {
    let offset = extents.pairs[i] ?? 0;
    const end = offset + (extents.pairs[i + 1] ?? 0);
    while (offset < end) {
      const length = Math.min(end - offset, 1 + random.below(longest));
      records.splice(random.below(records.length + 1), 0, {
        offset,
        data: content.subarray(offset, offset + length),
      });
      offset += length;
    }
  }
  const groups: StreamRecord[][] = [];
  const most = Math.max(4, records.length / 16);
  while (records.length > 0) groups.push(records.splice(0, 1 + random.below(most)));
  return groups;
}

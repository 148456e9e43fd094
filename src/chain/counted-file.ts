/** A snapback by itself, as `--apply` and `inspect` are given it: what others beside it count on. */

import { dirname } from 'node:path';
import { UNTOUCHED, withContext } from '../base/errors.js';
import { interrupted } from '../run/interruption.js';
import type { Hello } from '../stream/control-frame.js';
import type { CountedBy } from '../stream/counted-link.js';
import { inspectFile } from '../stream/inspection.js';
import { countedBeside } from './link.js';

const INCOMPLETE = {
  ...UNTOUCHED,
  hint: '--force applies the part that is left.',
};

/**
 * Throws (streamTruncated, streamCorrupt) for a file that does not hold what others count on. It is read
 * to its end only where there are such: all others are checked group by group.
 */
export async function requireCountedParts(
  path: string,
  { kind, streamId }: Hello,
  signal: AbortSignal,
): Promise<void> {
  if (kind !== 'snapback' || path === '-') return;
  const id = Buffer.from(streamId).toString('hex');
  const isOfIt = (one: CountedBy): boolean => one.streamId === id;
  const countedBy = (await countedBeside(dirname(path))).filter(isOfIt);
  if (countedBy.length === 0) return;
  const { fault } = await inspectFile(path, signal, { countedBy, mayBeUnused: true });
  if (signal.aborted) throw interrupted(signal, UNTOUCHED);
  if (fault !== undefined) throw withContext(fault, INCOMPLETE);
}

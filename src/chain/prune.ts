/** Removes the links that no `--keep` rule keeps any more, and what nothing goes back to. */

import { rmSync } from 'node:fs';
import { syncDirectory } from '../host/durable-file.js';
import { type ChainRequest, isAheadOf, turnsToPrune } from './keep.js';
import { findLeftover, type LeftoverFiles, removeLeftover } from './leftover.js';
import { type Link, readLinks } from './link.js';
import { orderChain, walkBack } from './order.js';
import type { ChainRecord, Leftover, Point } from './record.js';

/** The fate of the oldest links. */
export interface Pruned {
  /** Files. */
  readonly removed: number;
  /** The new point, if it is of a time to come, so that nothing was removed for its age. */
  readonly ahead: Point | undefined;
  /** Leftover files that no rule was given to remove. */
  readonly leftover: LeftoverFiles | undefined;
}

export const NONE_PRUNED: Pruned = { removed: 0, ahead: undefined, leftover: undefined };

export interface PruneRequest extends Pick<ChainRequest, 'directory' | 'keep'> {
  /** The record before the turn that was just taken. */
  readonly former: ChainRecord | undefined;
  /** Writes the record, durably. */
  readonly write: (record: ChainRecord) => void;
}

/**
 * First the record says where the chain begins, so that no link is missing where one is gone. `now`: milliseconds
 * since 1970. Only who holds the lock of the chain may call it.
 */
export async function prune(
  request: PruneRequest,
  record: ChainRecord,
  now: number,
): Promise<Pruned> {
  const { directory, keep, former, write } = request;
  if (record.point === null) return NONE_PRUNED;
  if (keep.length === 0) {
    return { ...NONE_PRUNED, leftover: await newLeftover(directory, record, former) };
  }
  const { point } = record;
  const { links } = await readLinks(directory);
  const { turns } = orderChain(record, links);
  const newest = turnsToPrune(keep, { point, turns, now })[0]?.links[0];
  const pruned = newest?.streamId ?? record.pruned;
  const current = { ...record, pruned };
  if (pruned !== record.pruned) write(current);
  // A former run may have ended in the middle of this.
  const { walked } = walkBack({ from: pruned, before: null }, links);
  const hasAge = keep.some((rule) => 'seconds' in rule);
  const ahead = hasAge && isAheadOf(now, point) ? point : undefined;
  const removed = removeLinks(directory, walked) + (await clearLeftover(current, request));
  return { removed, ahead, leftover: undefined };
}

/** Undefined where this turn added nothing to what was there. */
async function newLeftover(
  directory: string,
  record: ChainRecord,
  former: ChainRecord | undefined,
): Promise<LeftoverFiles | undefined> {
  const count = (leftover: Leftover | undefined): number =>
    (leftover?.links.length ?? 0) + (leftover?.undone.length ?? 0);
  if (count(record.leftover) === count(former?.leftover)) return undefined;
  return findLeftover(directory, record);
}

/** Resolves with the number of files. */
async function clearLeftover(
  record: ChainRecord,
  { directory, write }: PruneRequest,
): Promise<number> {
  if (record.leftover === undefined) return 0;
  const { leftover, ...rest } = record;
  const found = await findLeftover(directory, { ...rest, leftover });
  removeLeftover(directory, found);
  write(rest);
  return found.files.length;
}

/** Oldest first: what a crash leaves is still linked to what was to be removed with it. */
function removeLinks(directory: string, links: readonly Link[]): number {
  for (const { path } of [...links].reverse()) rmSync(path, { force: true });
  if (links.length > 0) syncDirectory(directory);
  return links.length;
}

/**
 * The files that a chain has left behind: the links of one that `--init --force` began anew, and the folder of a
 * rollback after which a turn was taken. Nothing goes back to these. The record names them, so that they can
 * be told from files that are only called so, and are found again after a crash.
 */

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from '../host/durable-file.js';
import { type Link, readLinks } from './link.js';
import { walkBack } from './order.js';
import {
  type ChainRecord,
  isGoingBack,
  type Leftover,
  RECORD_NAME,
  readRecord,
  type Undone,
} from './record.js';
import { readRedoLinks, removeIfEmpty } from './undone.js';

/** The leftover when a turn begins after that record; undefined: nothing. `anew`: with a full copy. */
export function leftoverAfter(record: ChainRecord, anew: boolean): Leftover | undefined {
  const { doing, undone, last, leftover = { links: [], undone: [] } } = record;
  const goingBack = isGoingBack(doing) ? { folder: doing.folder, redo: doing.redo } : undone;
  const links = anew && last !== null ? [...leftover.links, last] : leftover.links;
  const folders = goingBack === null ? leftover.undone : [...leftover.undone, goingBack];
  return links.length + folders.length === 0 ? undefined : { links, undone: folders };
}

/** With the folder of a rollback that was taken back. */
export function withUndone(leftover: Leftover | undefined, undone: Undone): Leftover {
  return { links: leftover?.links ?? [], undone: [...(leftover?.undone ?? []), undone] };
}

export interface LeftoverFiles {
  /** In the order in which they can be removed: what remains then still leads to all others. */
  readonly files: readonly string[];
  /** To be removed when they are empty. */
  readonly folders: readonly string[];
  /** Bytes of the files. */
  readonly bytes: number;
}

/** Only what the record names, by stream ids; nothing that the chain can still go back to. */
export async function findLeftover(
  directory: string,
  { last, leftover }: Pick<ChainRecord, 'last' | 'leftover'>,
): Promise<LeftoverFiles> {
  if (leftover === undefined) return { files: [], folders: [], bytes: 0 };
  const { links: own } = await readLinks(directory);
  const live = new Set(walkBack({ from: last, before: null }, own).walked);
  const found = { files: [] as string[], folders: [] as string[], bytes: 0 };
  const add = (links: readonly Link[]): void => {
    for (const { path, fileSize } of [...links].reverse()) {
      if (found.files.includes(path)) continue;
      found.files.push(path);
      found.bytes += fileSize;
    }
  };
  const moved: Link[] = [];
  for (const undone of leftover.undone) {
    const folder = join(directory, undone.folder);
    if (!existsSync(folder)) continue;
    const { links } = await readLinks(folder);
    const former = readRecord(folder)?.last ?? null;
    // Some may not have been moved yet: those are links of the chain.
    const { walked } = walkBack({ from: former, before: null }, [...links, ...own]);
    moved.push(...links);
    add(walked.filter((link) => links.includes(link)));
    add((await readRedoLinks(folder, undone)).walked);
    found.files.push(join(folder, RECORD_NAME));
    found.folders.push(folder);
  }
  for (const from of leftover.links) {
    const { walked } = walkBack({ from, before: null }, [...own, ...moved]);
    add(walked.filter((link) => own.includes(link) && !live.has(link)));
  }
  return found;
}

/** Durable when it returns. A folder in which something else lies stays. */
export function removeLeftover(directory: string, { files, folders }: LeftoverFiles): void {
  for (const path of files) rmSync(path, { force: true });
  for (const folder of folders) removeIfEmpty(folder);
  syncDirectory(directory);
}

/**
 * The means to undo a rollback: a folder in the chain with the record as it was, the snapbacks of the
 * rollback itself, and the links that it undid.
 */

import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../base/errno.js';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { draftOf, syncDirectory } from '../host/durable-file.js';
import { isLinkName, type Link, readLink } from './link.js';
import { type Walk, walkBack } from './order.js';
import { type ChainRecord, RECORD_NAME, readRecord, type Undone, writeRecord } from './record.js';

const REDO_NAME = /^redo(?:\.\d+)?\.snapback$/;

/** Makes one that holds the record as it is now; its name. Durable when it returns. Throws (snapback). */
export function makeUndoneFolder(directory: string, record: ChainRecord, now = new Date()): string {
  const stem = `undone-${now.toISOString().replace(/\.\d+/, '').replaceAll(':', '-')}`;
  let name = stem;
  for (let n = 2; existsSync(join(directory, name)); n++) name = `${stem}-${n}`;
  const folder = join(directory, name);
  attempt(folder, () => mkdirSync(folder, { mode: 0o700 }));
  try {
    attempt(folder, () => syncDirectory(directory));
    writeRecord(folder, record);
  } catch (error) {
    removeUndoneFolder(folder);
    throw error;
  }
  return name;
}

/** A name for the next snapback of the rollback: one that was cut off has left its own there. */
export function redoPath(folder: string): string {
  for (let attempt = 1; ; attempt++) {
    const path = join(folder, attempt === 1 ? 'redo.snapback' : `redo.${attempt}.snapback`);
    if (!existsSync(path)) return path;
  }
}

export interface Taken {
  /** As the chain was before the rollback. */
  readonly former: ChainRecord;
  /** The snapbacks of the rollback, newest first. */
  readonly links: readonly Link[];
}

/** Throws (streamCorrupt) if one of them is missing. */
export async function readUndone(folder: string, undone: Undone): Promise<Taken> {
  const refuse = (what: string): never => {
    throw new LvmsyncError('streamCorrupt', `${folder}: ${what}`, {
      ...UNTOUCHED,
    });
  };
  const former = readRecord(folder);
  if (former === undefined) return refuse('the record of the chain before the rollback is missing');
  const { walked, missing } = await readRedoLinks(folder, undone);
  return missing === undefined ? { former, links: walked } : refuse(missing);
}

/** The snapbacks of the rollback, newest first, as far as they are there. */
export async function readRedoLinks(folder: string, { redo }: Undone): Promise<Walk<Link>> {
  const found: Link[] = [];
  for (const name of readdirSync(folder).filter((one) => REDO_NAME.test(one))) {
    const link = await readLink(folder, name);
    if (link !== undefined) found.push(link);
  }
  return walkBack({ from: redo, before: null }, found);
}

/** Those that are there already stay. Durable when it returns. Throws (snapback). */
export function moveLinks(links: readonly Pick<Link, 'path' | 'name'>[], folder: string): void {
  const sources = new Set<string>();
  attempt(folder, () => {
    for (const { path, name } of links) {
      const target = join(folder, name);
      if (path === target) continue;
      renameSync(path, target);
      sources.add(join(path, '..'));
    }
    for (const source of [folder, ...sources]) syncDirectory(source);
  });
}

/** Throws (snapback) where a link would replace another file when it goes back. */
export function refuseReplacing(folder: string, directory: string): void {
  const name = readdirSync(folder).find(
    (one) => isLinkName(one) && existsSync(join(directory, one)),
  );
  if (name === undefined) return;
  throw new LvmsyncError(
    'snapback',
    `${join(folder, name)}: ${directory} already has a file of that name`,
    {
      ...UNTOUCHED,
      hint: `lvmsync did not create that file: check it with "lvmsync inspect", and move it away.`,
    },
  );
}

/** All that a rollback moved into the folder goes back to where it was. */
export function moveBack(folder: string, directory: string): void {
  const names = readdirSync(folder).filter(isLinkName);
  moveLinks(
    names.map((name) => ({ name, path: join(folder, name) })),
    directory,
  );
}

/** When nothing names it any more: what a rollback made there. A folder in which something else lies stays. */
export function removeUndoneFolder(folder: string): void {
  const isOwn = (name: string): boolean =>
    name === RECORD_NAME || name === draftOf(RECORD_NAME) || REDO_NAME.test(name);
  attempt(folder, () => {
    for (const name of readdirSync(folder).filter(isOwn)) rmSync(join(folder, name));
    removeIfEmpty(folder);
  });
}

export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const code = errnoOf(error);
    if (code !== 'ENOTEMPTY' && code !== 'ENOENT') throw error;
  }
}

function attempt(path: string, action: () => void): void {
  try {
    action();
  } catch (cause) {
    const why = messageOf(cause);
    throw new LvmsyncError('snapback', `${path}: ${why}`, { cause });
  }
}

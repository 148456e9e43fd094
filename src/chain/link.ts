/** The links of a chain: snapbacks that say from which point to which their run led. */

import { closeSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';
import { ChangeReader } from '../stream/change-reader.js';
import type { Hello, StreamPosition } from '../stream/control-frame.js';
import { type Counted, type CountedBy, countedIn } from '../stream/counted-link.js';
import type { Part } from './order.js';
import { isPointTime, isUuid, type Point } from './record.js';

export interface Link {
  readonly path: string;
  /** Name of the file. */
  readonly name: string;
  /** Bytes. */
  readonly fileSize: number;
  /** In hexadecimal, as is the next. */
  readonly streamId: string;
  /** The link before it; undefined in the first one of a chain. */
  readonly previous: string | undefined;
  /** The points before its run, and after a run that finished. */
  readonly from: Point;
  readonly to: Point;
  readonly hello: Hello;
  /** Where several streams shared its run: which of their links this is. */
  readonly part: Part | undefined;
  /** UNNOTICED or WRITTEN_BEFORE where its run found the changes by comparing. */
  readonly comparison: string | undefined;
  /** A part of one before it, which has to be there. */
  readonly counted: Counted | undefined;
  /** By hand: its size says nothing of what it holds. */
  readonly compressed: boolean;
  /** A part that others count on, but that its size has no room for. */
  readonly lost?: string;
}

const SUFFIX = '.snapback';
const NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(?:\.\d+)?(?:\.\d+-of-\d+)?\.snapback$/;

/**
 * `2026-11-23T10-15-00Z.snapback`; a further attempt has `.2`, `.3` and so on before the suffix, one of several streams
 * `.1-of-3`. Older programs pass over a file of that name: they miss a link, and do not go back with a part of them.
 */
export function linkName(
  { time }: Point,
  attempt: number,
  place?: Pick<StreamPosition, 'streamIndex' | 'streamCount'>,
): string {
  const again = attempt === 1 ? '' : `.${attempt}`;
  const part = place === undefined ? '' : `.${place.streamIndex}-of-${place.streamCount}`;
  return time.replaceAll(':', '-') + again + part + SUFFIX;
}

/** Of what a mend overwrote: no link of the chain. */
export function asideName(attempt: number): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  return `overwritten-${time}Z${attempt === 1 ? '' : `.${attempt}`}.snapback`;
}

export function isLinkName(name: string): boolean {
  return NAME.test(name);
}

export interface LinkFiles {
  readonly links: readonly Link[];
  /** Files with the name of a link that are not links: cut off in their first bytes, or foreign. */
  readonly others: readonly string[];
}

/** Everything in the directory that is called as a link is; only the beginning of each is read. */
export async function readLinks(directory: string): Promise<LinkFiles> {
  const links: Link[] = [];
  const others: string[] = [];
  for (const name of readdirSync(directory).filter(isLinkName).sort()) {
    const link = await readLink(directory, name);
    if (link === undefined) others.push(name);
    else links.push(link);
  }
  return { links, others };
}

/** Undefined unless it is a link. */
export async function readLink(directory: string, name: string): Promise<Link | undefined> {
  const path = join(directory, name);
  const stats = statSync(path, { throwIfNoEntry: false });
  // Anything but a file might never end.
  if (stats?.isFile() !== true) return undefined;
  const beginning = await readBeginning(path);
  if (beginning?.hello.kind !== 'snapback') return undefined;
  const { hello } = beginning;
  const { fromPoint, toPoint, fromTime, toTime, previousLink: previous } = hello.attributes;
  const { comparison } = hello.attributes;
  if (!isUuid(fromPoint) || !isUuid(toPoint) || !isPointTime(fromTime) || !isPointTime(toTime)) {
    return undefined;
  }
  const streamId = Buffer.from(hello.streamId).toString('hex');
  const points = {
    from: { uuid: fromPoint, time: fromTime },
    to: { uuid: toPoint, time: toTime },
  };
  const part = partOf(hello);
  const about = { path, name, fileSize: stats.size, streamId, previous, part, comparison };
  return { ...about, ...points, ...beginning };
}

function partOf({ setId, streamIndex: index, streamCount: count }: Hello): Part | undefined {
  return count === 1 ? undefined : { set: Buffer.from(setId).toString('hex'), index, count };
}

type Beginning = Pick<Link, 'hello' | 'counted' | 'compressed'>;

async function readBeginning(path: string): Promise<Beginning | undefined> {
  const fd = openToRead(path);
  if (fd === undefined) return undefined;
  const reader = new ChangeReader(fd, path);
  try {
    const form = await reader.readForm();
    if (form.form !== 'framed') return undefined;
    const { hello } = form;
    return { hello, counted: countedIn(hello), compressed: reader.compressed };
  } catch (error) {
    if (error instanceof LvmsyncError) return undefined;
    throw error;
  } finally {
    await reader.close();
    closeSync(fd);
  }
}

/** Undefined for what this user may not read: it may lie beside a snapback of his. */
function openToRead(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}

/** Whatever in the folder is a link, also under another name; nothing where it cannot be read. */
export async function linksBeside(directory: string): Promise<readonly Link[]> {
  let names: string[] = [];
  try {
    names = readdirSync(directory).filter((name) => name.endsWith(SUFFIX));
  } catch {
    return [];
  }
  const links: Link[] = [];
  for (const name of names) {
    const link = await readLink(directory, name);
    if (link !== undefined) links.push(link);
  }
  return links;
}

/** The parts that these links count on. */
export function countedParts(links: readonly Link[]): readonly CountedBy[] {
  return links.flatMap(({ counted, name }) => (counted ? [{ ...counted, by: name }] : []));
}

/** Finds those that are shorter than what others of them count on. */
export function findLost(links: readonly Link[]): readonly Link[] {
  const parts = countedParts(links);
  return links.map((link) => {
    const missing = parts.find(({ streamId, bytes }) => {
      return streamId === link.streamId && bytes > link.fileSize && !link.compressed;
    });
    if (missing === undefined) return link;
    const { by, bytes } = missing;
    const lost = `${link.name} has only ${link.fileSize} bytes, but ${by} needs its first ${bytes}`;
    return { ...link, lost };
  });
}

/** For reading; the caller closes it. Throws (snapback). */
export function openLink(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    const code = reasonOf(cause);
    throw new LvmsyncError('snapback', `${path}: cannot be opened (${code})`, { cause });
  }
}

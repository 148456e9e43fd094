/** A snapback that is applied or inspected by itself: what its chain, if it has one, knows of it, and whether it is whole. */

import { dirname } from 'node:path';
import { UNTOUCHED, withContext } from '../base/errors.js';
import { interrupted } from '../run/interruption.js';
import type { Hello } from '../stream/control-frame.js';
import type { CountedBy } from '../stream/counted-link.js';
import { inspectFile } from '../stream/inspection.js';
import { hasEndMark, lostEnd } from '../stream/lost-end.js';
import { countedParts, type Link, linksBeside } from './link.js';
import { completing, orderChain } from './order.js';
import { type ChainRecord, isGoingBack, readRecord } from './record.js';

/** What the links in a folder, and the record of their chain, say of each other. Stream ids are in hexadecimal. */
export interface Neighbours {
  readonly links: readonly Link[];
  /** Undefined where there is none, or it cannot be read: applying links by hand is what helps then. */
  readonly record: ChainRecord | undefined;
  /** The parts of them that others count on. */
  readonly countedBy: readonly CountedBy[];
  /** Those whose runs finished. */
  readonly finished: ReadonlySet<string>;
}

const NONE: Neighbours = { links: [], record: undefined, countedBy: [], finished: new Set() };

/** A folder that cannot be read counts as empty. */
export async function neighboursIn(directory: string): Promise<Neighbours> {
  const links = await linksBeside(directory);
  const record = recordIn(directory);
  const turns = record === undefined ? [] : orderChain(record, links).turns;
  const finished = turns.flatMap(completing);
  return {
    links,
    record,
    countedBy: countedParts(links),
    finished: new Set(finished.map(({ streamId }) => streamId)),
  };
}

function recordIn(directory: string): ChainRecord | undefined {
  try {
    return readRecord(directory);
  } catch {
    return undefined;
  }
}

export function streamIdOf({ streamId }: Hello): string {
  return Buffer.from(streamId).toString('hex');
}

export interface LinkFacts {
  /** The parts of it that others count on. */
  readonly countedBy: readonly CountedBy[];
  /** Its run is known to have finished. */
  readonly finished: boolean;
  /** The link beside it that has to be undone before it. */
  readonly newer: Pick<Link, 'name' | 'streamId'> | undefined;
  /** By the record of the chain whose copy the destination is: the link to be undone next, if any; undefined: unknown. */
  readonly next: { readonly streamId: string | null; readonly name: string | null } | undefined;
  /** The last snapback that was undone is a link of that chain. */
  readonly afterLink: boolean;
}

/**
 * `path`: of the file, where it is one. `chain`: directory of the chain whose copy the destination is. `undoneLast`:
 * stream id of what was undone last.
 */
export async function linkFacts(
  hello: Hello,
  about: {
    readonly path: string | undefined;
    readonly chain: string | undefined;
    readonly undoneLast: string | undefined;
  },
): Promise<LinkFacts> {
  const { path, chain, undoneLast } = about;
  const id = streamIdOf(hello);
  const beside = path === undefined ? NONE : await neighboursIn(dirname(path));
  const own = chain === undefined ? NONE : await neighboursIn(chain);
  const former = own.links.find(({ streamId }) => streamId === undoneLast);
  const streamId = nextIn(own.record, former, id);
  const name = own.links.find((link) => link.streamId === streamId)?.name;
  return {
    countedBy: beside.countedBy.filter((one) => one.streamId === id),
    finished: beside.finished.has(id) || own.finished.has(id),
    newer: beside.links.find(({ previous }) => previous === id),
    next: streamId === undefined ? undefined : { streamId, name: name ?? streamId },
    afterLink: former !== undefined,
  };
}

/** The stream id of what is to be undone next; `former`: the link that was undone last, if it is one of the chain. */
function nextIn(
  record: ChainRecord | undefined,
  former: Link | undefined,
  id: string,
): string | null | undefined {
  if (former !== undefined) return former.previous ?? null;
  if (record === undefined) return undefined;
  // A rollback, also one that was cut off, is undone by its own snapback.
  const { doing, undone, last } = record;
  const rollback = isGoingBack(doing) ? doing : undone;
  return rollback?.redo === id ? id : last;
}

const INCOMPLETE = {
  ...UNTOUCHED,
  hint: 'If it was copied, copy it again. --force applies the part that is left.',
};

export interface WholeUndo {
  readonly path: string;
  readonly streamId: Uint8Array;
  /** The parts of it that others count on. */
  readonly countedBy: readonly CountedBy[];
  /** Its run is known to have finished. */
  readonly finished: boolean;
}

/**
 * Throws (streamTruncated, streamCorrupt) for a file that does not hold what others count on, or that lost its end
 * since its run finished. It is read whole only where one of these may be; else each group is checked in turn.
 */
export async function requireWhole(undo: WholeUndo, signal: AbortSignal): Promise<void> {
  const { path, streamId, countedBy, finished } = undo;
  const mayLackEnd = finished && !(await hasEndMark(path, streamId));
  if (countedBy.length === 0 && !mayLackEnd) return;
  const { fault, tornTail } = await inspectFile(path, signal, { countedBy, mayBeUnused: true });
  if (signal.aborted) throw interrupted(signal, UNTOUCHED);
  if (fault !== undefined) throw withContext(fault, INCOMPLETE);
  if (finished && tornTail !== undefined) throw withContext(lostEnd(tornTail), INCOMPLETE);
}

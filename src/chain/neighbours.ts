/** What is known of a snapback that is applied or inspected by itself: by the chain whose link it may be. */

import { dirname } from 'node:path';
import type { Hello } from '../stream/control-frame.js';
import type { CountedBy } from '../stream/counted-link.js';
import { countedParts, type Link, linksBeside } from './link.js';
import { orderChain } from './order.js';
import { type ChainRecord, readRecord } from './record.js';

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

/** Throws nothing: of a folder that cannot be read nothing is known. */
export async function neighboursIn(directory: string): Promise<Neighbours> {
  const links = await linksBeside(directory);
  const record = recordIn(directory);
  const turns = record === undefined ? [] : orderChain(record, links).turns;
  // The last link of each turn, as a rollback has it.
  const finished = turns.flatMap((turn) => turn.links.slice(0, 1));
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
  readonly next: { readonly streamId: string | null; readonly name: string } | undefined;
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
  const streamId = former === undefined ? own.record?.last : (former.previous ?? null);
  const name = own.links.find((link) => link.streamId === streamId)?.name ?? 'no snapback';
  return {
    countedBy: beside.countedBy.filter((one) => one.streamId === id),
    finished: beside.finished.has(id) || own.finished.has(id),
    newer: beside.links.find(({ previous }) => previous === id),
    next: streamId === undefined ? undefined : { streamId, name },
    afterLink: former !== undefined,
  };
}

/** What lies beside a snapback that is applied or inspected by itself: the chain whose link it may be. */

import { dirname } from 'node:path';
import type { Hello } from '../stream/control-frame.js';
import type { CountedBy } from '../stream/counted-link.js';
import { countedParts, type Link, linksBeside } from './link.js';
import { orderChain } from './order.js';
import { readRecord } from './record.js';

/** What the links in a folder, and the record of their chain, say of each other. Stream ids are in hexadecimal. */
export interface Neighbours {
  readonly links: readonly Link[];
  /** The parts of them that others count on. */
  readonly countedBy: readonly CountedBy[];
  /** Those whose runs finished. */
  readonly finished: ReadonlySet<string>;
}

const NONE: Neighbours = { links: [], countedBy: [], finished: new Set() };

/** `path`: as --apply has it. Nothing is known of standard input, or where nothing can be read. */
export async function neighboursOf(path: string): Promise<Neighbours> {
  if (path === '-') return NONE;
  const directory = dirname(path);
  const links = await linksBeside(directory);
  const finished = new Set(finishedIn(directory, links).map(({ streamId }) => streamId));
  return { links, countedBy: countedParts(links), finished };
}

export function streamIdOf({ streamId }: Hello): string {
  return Buffer.from(streamId).toString('hex');
}

/** The last link of each turn, as a rollback has it. */
function finishedIn(directory: string, links: readonly Link[]): readonly Link[] {
  try {
    const record = readRecord(directory);
    if (record === undefined) return [];
    return orderChain(record, links).turns.flatMap((turn) => turn.links.slice(0, 1));
  } catch {
    // Applying its links by hand is what helps where the record is damaged.
    return [];
  }
}

/** Chains as values: records and links that no file stands for. */

import type { Linked } from '../../../src/chain/order.js';
import type { ChainRecord } from '../../../src/chain/record.js';
import { pointAt } from './chain-laboratory.js';

export function idOf(number: number): string {
  return number.toString(16).padStart(32, '0');
}

/** Oldest first. `attempts[n]`: how many runs the turn from point n took, the last one included. */
export function modelChain(attempts: readonly number[]): {
  readonly record: ChainRecord;
  readonly links: readonly Linked[];
} {
  const links: Linked[] = [];
  for (const [turn, runs] of attempts.entries()) {
    for (let run = 1; run <= runs; run++) links.push(linkAfter(links, turn, run));
  }
  const record: ChainRecord = {
    version: 1,
    destination: { identity: null, path: '/dev/vg/copy', size: 1024 },
    point: pointAt(attempts.length),
    last: links.at(-1)?.streamId ?? null,
    pruned: null,
    doing: null,
    undone: null,
  };
  return { record, links };
}

/** A link from point `turn` to the next, behind those that are there. */
export function linkAfter(links: readonly Linked[], turn: number, run = 1): Linked {
  return {
    name: `turn ${turn}, run ${run}`,
    streamId: idOf(links.length + 1),
    previous: links.at(-1)?.streamId,
    from: pointAt(turn),
    to: pointAt(turn + 1),
  };
}

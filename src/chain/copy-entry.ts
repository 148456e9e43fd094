/** The part of a registry entry that describes the runs before it, and how to undo them. */

import type { Hello } from '../stream/control-frame.js';
import { knownIn } from './copy-verdict.js';
import { readRecord } from './record.js';
import { type CopyEntry, MOST_UNDONE } from './registry-entry.js';

/** The id of a snapback, or of the set to which it belongs. The links of a chain have an order also within a set. */
export function idOf(hello: Hello): string {
  const { streamCount, streamId, setId } = hello;
  const isAlone = streamCount === 1 || isLinkOfChain(hello);
  return Buffer.from(isAlone ? streamId : setId).toString('hex');
}

/** The snapback that undoes the run of the entry, as idOf has it. */
export function nameOf({ undo, parts, run }: CopyEntry, { streamCount }: Hello): string | null {
  if (streamCount === 1) return undo;
  return parts === undefined ? null : run;
}

/** The chain whose copy it is, also after runs that are of none. */
export function chainOf(entry: CopyEntry | undefined): string | undefined {
  if (entry === undefined) return undefined;
  return entry.chain ?? chainOf(entry.former ?? undefined);
}

/** It undoes a run of a chain, which the registry knows by the chain only. */
export function isLinkOfChain({ kind, attributes }: Hello): boolean {
  return kind === 'snapback' && attributes.fromPoint !== undefined;
}

/** The facts to note when it was applied whole. */
export function withUndone(entry: CopyEntry, hello: Hello): Pick<CopyEntry, 'undone'> {
  return { undone: [idOf(hello), ...(entry.undone ?? [])].slice(0, MOST_UNDONE) };
}

/** With so many former ones. */
export function keepFormer(entry: CopyEntry, count: number): CopyEntry {
  const { former } = entry;
  if (former === null) return entry;
  return { ...entry, former: count === 0 ? null : keepFormer(former, count - 1) };
}

/** The note in the record of its chain of a run that was killed before its last word to the registry. */
export function leftByChain({ run, chain }: CopyEntry): string | undefined {
  if (chain === null) return undefined;
  try {
    const record = readRecord(chain);
    return record?.writer?.run === run ? knownIn(record)?.mark : undefined;
  } catch {
    return undefined;
  }
}

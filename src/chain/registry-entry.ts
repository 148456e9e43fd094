/** An entry of the registry of copies: its form, and whether a value has it. */

import { isObject } from '../base/json-object.js';

export interface CopyEntry {
  readonly version: 1;
  /** Absolute. */
  readonly path: string;
  /** For a file; null for a device. Shows by which other name it may be the same file. */
  readonly inode: string | null;
  /** Random; names the run that wrote last. */
  readonly run: string;
  /** Directory of the chain that it was a run of; null for any other run. */
  readonly chain: string | null;
  /** The command line of the run. */
  readonly command: string;
  /** When it began to write: ISO 8601, UTC. */
  readonly at: string;
  /** Stream id, in hexadecimal, of the snapback that undoes it, where that restores the state in `former`. */
  readonly undo: string | null;
  /** The entry before that run, so that it can be undone. */
  readonly former: CopyEntry | null;
  /** The writeMark of the copy at the end of that run; absent while it writes. */
  readonly left?: string | undefined;
  /** The writeMark at the end of the last undoing, where `left` only says that something else wrote before it. */
  readonly settled?: string | undefined;
  /** Stream ids, in hexadecimal, of the snapbacks that undid what came after that run; the last one first. */
  readonly undone?: readonly string[] | undefined;
  /** With several streams: those whose snapback was applied, counted from 1. */
  readonly parts?: readonly number[] | undefined;
  /** The run finished; of several streams all did. */
  readonly done?: true | undefined;
  /** With several streams: those that finished, counted from 1. */
  readonly ended?: readonly number[] | undefined;
  /** Stream id, in hexadecimal, of the link of a chain that the run applies. */
  readonly undoes?: string | undefined;
  /** How the copy is recognised, and its bytes. Older programs leave them out. */
  readonly identity?: string | undefined;
  readonly size?: number | undefined;
}

export type Writer = Pick<
  CopyEntry,
  'run' | 'chain' | 'command' | 'undo' | 'former' | 'parts' | 'undoes'
>;

/** Runs that are of no chain, one after the other: as many can be undone in turn. */
export const MOST_FORMER = 8;
export const MOST_UNDONE = 2 * MOST_FORMER;

export function isEntry(value: unknown, depth = 0): value is CopyEntry {
  if (depth > MOST_FORMER || !isObject(value) || value.version !== 1) return false;
  const { path, inode, run, chain, command, at, undo, former } = value;
  const { left, settled, undone, parts, ended, undoes, identity, size } = value;
  const isListOf = (type: string, list: unknown): boolean =>
    list === undefined || (Array.isArray(list) && list.every((one) => typeof one === type));
  return (
    [path, run, command, at].every((text) => typeof text === 'string') &&
    [inode, chain, undo].every((text) => text === null || typeof text === 'string') &&
    [left, settled, undoes, identity].every(
      (text) => text === undefined || typeof text === 'string',
    ) &&
    isListOf('string', undone) &&
    isListOf('number', parts) &&
    isListOf('number', ended) &&
    (size === undefined || typeof size === 'number') &&
    (former === null || isEntry(former, depth + 1))
  );
}

/**
 * The places that a cycle leads to. Its snapshots know only a hash over host, destination and directory, so a place is
 * shown where the same hash comes from words that this host has: those of the systemd units, and the registry of copies.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LvmsyncError } from '../../base/errors.js';
import { quoteWord, splitWords } from '../../base/shell-words.js';
import { chainOf } from '../../chain/copy-entry.js';
import type { CopyEntry } from '../../chain/registry-entry.js';
import { parseOptions } from '../../cli/option-grammar.js';
import { toCommand } from '../../cli/parse.js';
import { tagOf } from '../../cycle/cycle-lock.js';
import { chainTag } from '../../cycle/names.js';
import { listNames } from '../../host/virtual-files.js';
import { placeName } from '../../remote/destination-name.js';

export interface Place {
  /** As it was typed. */
  readonly destination: string;
  /** Of the restore points. */
  readonly directory: string;
  /** The words behind "lvmsync cycle", quoted for a shell; undefined where they are not known. */
  readonly words: string | undefined;
  /** Where these stand. */
  readonly file?: string;
}

/** By the tag of the chain. */
export type Places = ReadonlyMap<string, Place>;

/** Where the unit lvmsync-cycle@NAME has the words of the cycle NAME. */
const UNITS = '/etc/lvmsync/cycle';

export function knownPlaces(entries: readonly CopyEntry[], units = UNITS): Places {
  const files = listNames(units).filter((name) => name.endsWith('.conf'));
  return new Map([
    ...entries.flatMap(placeOfEntry),
    ...files.flatMap((name) => placeOfUnit(join(units, name))),
  ]);
}

function placeOfEntry(entry: CopyEntry): [tag: string, place: Place][] {
  const directory = chainOf(entry);
  if (directory === undefined) return [];
  const { path } = entry;
  return [[chainTag({ path }, directory), { destination: path, directory, words: undefined }]];
}

/** Nothing where it cannot be read or understood: its next run says so. */
function placeOfUnit(file: string): [tag: string, place: Place][] {
  try {
    const words = splitWords(argumentsIn(readFileSync(file, 'utf8')));
    const command = toCommand(parseOptions(['cycle', ...words]));
    if (command.kind !== 'cycle') return [];
    const { destination, chain } = command;
    const place = { destination: placeName(destination), directory: chain.directory };
    return [[tagOf(command), { ...place, words: words.map(quoteWord).join(' '), file }]];
  } catch (error) {
    if (error instanceof LvmsyncError || (error instanceof Error && 'code' in error)) return [];
    throw error;
  }
}

/** As systemd reads the file, without its finer points. */
function argumentsIn(text: string): string {
  const lines = text.replace(/\\\n/g, ' ').split('\n');
  const values = lines.flatMap((line) => /^\s*ARGUMENTS=(.*?)\s*$/.exec(line)?.[1] ?? []);
  return (values.at(-1) ?? '').replace(/^(["'])(.*)\1$/, '$2');
}

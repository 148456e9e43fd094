/** Whether a chain still knows what its copy holds. Pure, but for the name of a directory. */

import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorContext } from '../base/errors.js';
import { UNTOUCHED } from '../base/errors.js';
import { WRITTEN, wasWritten } from '../device/write-mark.js';
import { attemptIn } from './attempt.js';
import { describeInexact } from './order.js';
import {
  type Attempt,
  type ChainRecord,
  type Left,
  RECORD_NAME,
  type RecordWriter,
} from './record.js';
import type { CopyEntry } from './registry-entry.js';

/** Why it does not know that any more, and what helps. */
export interface Doubt {
  readonly why: string;
  readonly remedy: ErrorContext;
  /** It is the copy of another chain now. */
  readonly isTaken?: boolean;
}

type Facts = Pick<ChainRecord, 'writer' | 'doing' | 'left' | 'attempt' | 'point' | 'last'>;

/** How the copy is recognised now. */
export interface CopyNow {
  /** Its writeMark. */
  readonly mark: string | undefined;
  /** Whether pages that the record names hold something else. */
  readonly spotsDiffer: boolean;
}

/** Undefined where nothing speaks against it. */
export function doubtOf(
  entry: CopyEntry | undefined,
  record: Facts,
  about: CopyNow & { readonly directory: string },
): Doubt | undefined {
  if (record.doing?.what === 'mend' && record.doing.foreign) {
    const why =
      'a cycle run with --compare did not finish making it equal to its restore point again';
    return { why, remedy: MEND };
  }
  const stranger = strangerIn(entry, record, about.directory);
  if (stranger !== undefined) {
    const isTaken = isOfOtherChain(entry, about.directory);
    return { why: stranger, remedy: isTaken ? TAKEN : AFTER_STRANGER, isTaken };
  }
  if (!isWritten(entry, record, about)) return undefined;
  return {
    why: 'something else wrote to it since the last run of this chain, such as a mount or the merge of a snapshot, so it may not match its restore point',
    remedy: AFTER_WRITE,
  };
}

/** The same of a turn that counts its changes from the point: a rollback led there, and it is known to be another state. */
export function inexactDoubt({ inexact }: Pick<ChainRecord, 'inexact'>): Doubt | undefined {
  if (inexact?.exact !== 'no') return undefined;
  const why = `it was rolled back to a restore point that is ${describeInexact(inexact)}`;
  return { why, remedy: AFTER_WRITE };
}

/** Whether something that is noted nowhere wrote to it since the last run of the chain. */
export function isWritten(
  entry: CopyEntry | undefined,
  record: Facts,
  { mark, spotsDiffer }: CopyNow,
): boolean {
  if (spotsDiffer) return true;
  return wasWritten(leftOf(entry, record), mark);
}

/** The record's description of its copy when a run is done. */
export function leftAt(
  { point, last }: Pick<ChainRecord, 'point' | 'last'>,
  known: Pick<Left, 'mark' | 'spots'>,
): Left {
  return { ...known, point: point?.uuid ?? null, last };
}

/** The mark of the copy after the last run; undefined where nobody noted it. */
export function leftOf(entry: CopyEntry | undefined, record: Facts): string | undefined {
  const known = knownIn(record);
  // Where an older program went on, the registry says nothing of it.
  if (known === undefined && record.doing === null) return undefined;
  // Newer where what was written after it was undone, or where there was no room for the record.
  const isOfLast = entry !== undefined && entry.run === record.writer?.run;
  return (isOfLast ? entry.left : undefined) ?? known?.mark;
}

/** The record, marked so that it is refused: something else wrote to the copy. */
export function spoilt(record: ChainRecord): ChainRecord {
  const { doing, writer } = record;
  const attempt =
    doing === null || writer === undefined
      ? undefined
      : { spots: [], ...record.attempt, run: writer.run, mark: WRITTEN };
  return { ...record, left: leftAt(record, { mark: WRITTEN }), attempt };
}

/** How the last run left the copy, whether it finished or not; undefined where it could not say. */
export function knownIn(record: Facts): Pick<Left | Attempt, 'mark' | 'spots'> | undefined {
  return record.doing === null ? leftIn(record) : attemptIn(record);
}

/** While something is being done: where it will be looked at again. */
export function placesOnly(left: Left | undefined): Left | undefined {
  return left?.spots && { ...left, mark: undefined };
}

/** The record from before a rollback that was taken back, with the mark that the registry is to have, too. */
export function putBack(
  former: ChainRecord,
  now: { readonly writer: RecordWriter; readonly mark: string | undefined },
): { readonly record: ChainRecord; readonly mark: string | undefined } {
  const { writer } = now;
  const attempt = attemptIn(former);
  const mark = knownIn(former)?.mark === WRITTEN ? WRITTEN : now.mark;
  const record = {
    ...former,
    writer,
    left: leftAt(former, { ...leftIn(former), mark }),
    attempt: attempt && { ...attempt, run: writer.run, mark },
  };
  return { record, mark };
}

/** Undefined where an older program, which does not know it, changed the rest of the record. */
export function leftIn({
  point,
  last,
  left,
}: Pick<Facts, 'point' | 'last' | 'left'>): Left | undefined {
  if (left === undefined || left.last !== last) return undefined;
  return left.point === (point?.uuid ?? null) ? left : undefined;
}

function strangerIn(
  entry: CopyEntry | undefined,
  record: Pick<ChainRecord, 'writer'>,
  directory: string,
): string | undefined {
  if (entry === undefined || isOwn(entry, record, directory)) return undefined;
  const { chain, command, at } = entry;
  const whose =
    chain === null
      ? 'which is not a run of this chain'
      : isSameDirectory(chain, directory)
        ? 'which the record of this chain does not know'
        : `a run of the chain in ${chain}`;
  return `it was written at ${at} by "${command}", ${whose}, so it may not match its restore point`;
}

function isOwn(
  { run, chain, at }: CopyEntry,
  { writer }: Pick<ChainRecord, 'writer'>,
  directory: string,
): boolean {
  if (writer !== undefined && (run === writer.run || run === writer.before)) return true;
  if (chain === null || !isSameDirectory(chain, directory)) return false;
  // Written by a program that kept no registry, or while this registry was not in use.
  return writer === undefined || (writer.at !== undefined && at < writer.at);
}

/** One that is there still. */
function isOfOtherChain(entry: CopyEntry | undefined, directory: string): boolean {
  const chain = entry?.chain ?? null;
  return (
    chain !== null && !isSameDirectory(chain, directory) && existsSync(join(chain, RECORD_NAME))
  );
}

export function isSameDirectory(recorded: string, directory: string): boolean {
  try {
    return recorded === realpathSync(directory);
  } catch {
    return false;
  }
}

/** A warning: nothing speaks for it or against it. */
export const KILLED =
  'the run before was killed, or could not note how it left the copy, so it is not known whether something else has written to it since; if it may have, run the cycle once with --compare --force, which compares everything';

const TAKEN: ErrorContext = {
  ...UNTOUCHED,
  hint: 'Name another destination. If this chain is to have the copy again, run the cycle once with --compare --force: the other chain then no longer matches it.',
};

/** A rollback prints it, too. */
const AFTER =
  'If a service works with the copy now, end the cycle instead, on the host of the volume: "lvmsync cycle --end". Otherwise run the cycle once with --compare, without "=lost": what was written to the copy is overwritten, and kept in the directory of the chain.';

const AFTER_STRANGER: ErrorContext = {
  ...UNTOUCHED,
  hint: `Undo that run with its snapback, if it kept one. ${AFTER}`,
};

const MEND: ErrorContext = {
  ...UNTOUCHED,
  hint: 'Run the cycle again with --compare, without "=lost". If its source is lost: "lvmsync rollback --steps 0 --force" on the host of the copy; what else was written to the copy then stays in it.',
};

const AFTER_WRITE: ErrorContext = {
  ...UNTOUCHED,
  hint: `${AFTER} If the source is lost, a rollback with --force alone goes on, and that data stays in the copy.`,
};

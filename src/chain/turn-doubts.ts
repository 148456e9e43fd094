/** What speaks against the copy of a chain before a turn: refused, or accepted and remembered. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import { checkUnlessForced } from '../run/forced.js';
import type { Reporter } from '../run/reporter.js';
import { UNNOTICED, WRITTEN_BEFORE } from '../stream/control-frame.js';
import { chainOf } from './copy-entry.js';
import type { CopyOwner } from './copy-owner.js';
import { inexactDoubt, isSameDirectory } from './copy-verdict.js';
import { destinationMismatch, refuseMismatch, refuseOtherSource } from './directory.js';
import type { Exactness } from './order.js';
import { type ChainDestination, type ChainRecord, RECORD_NAME } from './record.js';
import type { CopyEntry } from './registry-entry.js';
import type { Step } from './step.js';

/** Undefined where the copy, whose entry it is, is of no other chain, or of one that has no record any more. */
export function otherChain(
  entry: CopyEntry | undefined,
  directory: string,
): { readonly why: string; readonly remedy: string } | undefined {
  const chain = chainOf(entry);
  if (chain === undefined || isSameDirectory(chain, directory)) return undefined;
  if (!existsSync(join(chain, RECORD_NAME))) return undefined;
  return {
    why: `it is the copy of the chain in ${chain}`,
    remedy: `Use --snapback ${typedPath(chain, undefined)}. A new history in another directory needs --init --force; the restore points in ${chain} can then no longer be used.`,
  };
}

/** Nobody could use the restore points of the other one then. Throws (destinationUnfit). */
function refuseOtherChain(
  { entry, path }: { readonly entry: CopyEntry | undefined; readonly path: string },
  directory: string,
): void {
  const other = otherChain(entry, directory);
  if (other === undefined) return;
  const context = { ...UNTOUCHED, hint: other.remedy };
  throw new LvmsyncError('destinationUnfit', `${path}: ${other.why}`, context);
}

export interface Doubts {
  /** Something that is not of the chain was seen to have written to it, and that was accepted. */
  readonly doubted: boolean;
  /** Or it may be another device, or was known before. */
  readonly wasWritten: boolean;
  readonly force: boolean;
}

export interface Questioned {
  readonly record: ChainRecord | undefined;
  readonly directory: string;
  readonly init: boolean;
  readonly step: Step;
  /** LVM's uuid of the volume that is copied. */
  readonly source: string | undefined;
  readonly destination: ChainDestination;
  readonly path: string;
  readonly owner: CopyOwner;
  readonly reporter: Pick<Reporter, 'warn'>;
  readonly force: boolean;
  /** Another stream of the run says it. */
  readonly isTold: boolean;
}

/** Throws (destinationUnfit) unless that is forced, or the run compares the copy anyway. */
export async function findDoubts(question: Questioned): Promise<Doubts> {
  const { record, directory, init, step, destination, path, owner, force } = question;
  if (record === undefined || init) {
    if (!force) refuseOtherChain({ entry: owner.entry, path }, directory);
    owner.warnOfChain(directory);
    return { doubted: false, wasWritten: false, force };
  }
  await checkUnlessForced(question, () => {
    refuseMismatch(record, destination);
    if (step.compared) refuseOtherSource(record, question);
  });
  await checkUnlessForced(question, () => refuseInexact(record, question));
  const anyway = step.compared === 'any';
  const { isTold } = question;
  const doubted = await owner.requireOwn(record, directory, { force, anyway, isTold });
  const isOther = force && destinationMismatch(record, destination) !== undefined;
  const { doing, inexact } = record;
  // Only a mend that is complete puts right what something else wrote.
  const wasForeign = inexact?.exact === 'no' || (doing?.what === 'mend' && doing.foreign);
  return { doubted, wasWritten: doubted || isOther || wasForeign, force };
}

function refuseInexact(record: ChainRecord, { step, path }: Questioned): void {
  const doubt = step.compared === 'any' ? undefined : inexactDoubt(record);
  if (doubt === undefined) return;
  throw new LvmsyncError('destinationUnfit', `${path}: ${doubt.why}`, doubt.remedy);
}

/** The mark of the link. A point that was inexact before is no better for a turn that counts its changes from it. */
export function markOf(
  { compared }: Pick<Step, 'compared'>,
  { doubted, wasWritten }: Doubts,
  inexact: Exactness,
): string | undefined {
  const isKnown = inexact?.exact === 'no' || (compared !== undefined && wasWritten);
  if (isKnown) return WRITTEN_BEFORE;
  return compared !== undefined || doubted || inexact !== undefined ? UNNOTICED : undefined;
}

/** What then speaks against the point that it leads to. */
export function inexactAfter(
  { compared, to }: Step,
  { doubted }: Doubts,
  inexact: Exactness,
): Exactness {
  if (compared !== undefined) return undefined;
  return inexact ?? (doubted ? { exact: 'unknown', seenAt: to } : undefined);
}

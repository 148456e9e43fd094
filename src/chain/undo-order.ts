/** Which snapback undoes what wrote last to a copy, and why another one may not be applied. Pure. */

import { WRITTEN, wasWritten } from '../device/write-mark.js';
import type { Hello } from '../stream/control-frame.js';
import { idOf, isLinkOfChain, leftByChain, nameOf } from './copy-entry.js';
import type { LinkFacts } from './neighbours.js';
import type { CopyEntry } from './registry-entry.js';

/** The run that a snapback undoes: the one that wrote last or a part of it, or one that it has undone already. */
export type Undoing = 'last' | 'part' | 'again' | undefined;

export function undoingOf(entry: CopyEntry, hello: Hello): Undoing {
  if (hello.kind !== 'snapback') return undefined;
  const id = idOf(hello);
  if (nameOf(entry, hello) === id) return hello.streamCount === 1 ? 'last' : 'part';
  return entry.undone?.[0] === id ? 'again' : undefined;
}

export interface UndoQuestion {
  readonly entry: CopyEntry | undefined;
  readonly undoes: Hello;
  readonly facts: Pick<LinkFacts, 'newer' | 'next' | 'afterLink'>;
  /** The writeMark of the copy now. */
  readonly markBefore: string | undefined;
}

export interface NotNext {
  readonly why: string;
  /** Another run wrote since. */
  readonly laterRun?: true;
}

/** Undefined where the snapback may be applied now. */
export function whyNotNext(question: UndoQuestion): NotNext | undefined {
  const { entry, undoes, markBefore } = question;
  if (isLinkOfChain(undoes)) return whyNotNextLink(question);
  if (entry === undefined) return undefined;
  const id = idOf(undoes);
  const undoing = undoingOf(entry, undoes);
  if (undoing !== undefined) {
    const left = undoing === 'again' ? settledIn(entry) : entry.left;
    return wasWritten(left, markBefore) ? { why: WRITTEN_SINCE } : undefined;
  }
  if (entry.undone?.includes(id)) return { why: UNDONE_BEFORE };
  for (let former = entry.former; former !== null; former = former.former) {
    if (nameOf(former, undoes) !== id && !former.undone?.includes(id)) continue;
    return writtenLater(entry);
  }
  return undefined;
}

/** The newest first, and only of the chain whose copy it is. */
function whyNotNextLink({ entry, undoes, facts, markBefore }: UndoQuestion): NotNext | undefined {
  const id = idOf(undoes);
  const [undoneLast] = entry?.undone ?? [];
  const isRepeated = undoneLast === id || entry?.undoes === id;
  const { newer, next, afterLink } = facts;
  if (!isRepeated) {
    if (next !== undefined && next.streamId !== id) {
      if (next.name === null) return { why: 'its chain does not have another snapback to undo' };
      return { why: `the next snapback of its chain to be undone is ${next.name}` };
    }
    if (next === undefined && newer !== undefined && undoneLast !== newer.streamId) {
      return { why: `${newer.name} undoes a later run, and has to be applied first` };
    }
    // The last writer was a run of the chain, or the undoing of one.
    const afterNewer = newer !== undefined && undoneLast === newer.streamId;
    if (entry?.chain === null && !afterLink && !afterNewer) return writtenLater(entry);
  }
  const left = entry && (entry.left ?? leftByChain(entry));
  return wasWritten(left, markBefore) ? { why: WRITTEN_SINCE } : undefined;
}

function writtenLater({ at, command }: CopyEntry): NotNext {
  const why = `it was written at ${at} by "${command}", after the run that this snapback undoes`;
  return { why, laterRun: true };
}

/** The mark of the copy when the undo was finished, by which the same is undone again. */
function settledIn({ left, settled }: CopyEntry): string | undefined {
  return left === WRITTEN ? settled : left;
}

const WRITTEN_SINCE =
  'something else wrote to it since the run that this snapback undoes, such as a mount';

const UNDONE_BEFORE =
  'the run that this snapback undoes was already undone, and another run was undone after it';

/** With what helps. */
export function describeNotNext(
  { why, laterRun }: NotNext,
  entry: CopyEntry | undefined,
): { readonly why: string; readonly hint: string } {
  const isSaved = laterRun && (entry?.undo || entry?.parts !== undefined);
  const first = isSaved ? 'Undo the later run first, with its snapback. ' : '';
  return { why, hint: first + FORCED };
}

/** A warning: nothing speaks for it or against it. */
export const UNKNOWN_SINCE =
  'the run that this snapback undoes was killed, or could not note how it left the copy, so it is not known whether something else has written to it since';

const FORCED =
  '--force puts back the blocks that are saved in this snapback, and leaves everything else that was written since: the mixture may be a corrupt file system. Copy the destination first, or make a new full copy.';

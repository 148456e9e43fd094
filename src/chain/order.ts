/** Puts the links of a chain in their order, from what its record says back to the oldest. Pure. */

import { localTime } from '../base/local-time.js';
import { UNNOTICED, WRITTEN_BEFORE } from '../stream/control-frame.js';
import type { ChainRecord, Inexact, Point } from './record.js';

/** One of the links of several streams that shared one run. Each names the one whose run began to write before it. */
export interface Part {
  /** In hexadecimal. */
  readonly set: string;
  /** Counted from 1. */
  readonly index: number;
  readonly count: number;
}

/** The fields of a link that decide its order. */
export interface Linked {
  readonly name: string;
  readonly streamId: string;
  readonly previous: string | undefined;
  readonly from: Point;
  readonly to: Point;
  readonly part?: Part | undefined;
  /** Why it cannot be undone, where that is known. */
  readonly lost?: string;
  /** See Link. */
  readonly comparison?: string | undefined;
}

/** One step from a point to the next: the links of the run that completed it, and of its attempts before. */
export interface Turn<L extends Linked = Linked> {
  readonly from: Point;
  readonly to: Point;
  /** Newest first; never empty. */
  readonly links: readonly L[];
}

/** Those of the run that completed it: one, or with several streams one of each. */
export function completing<L extends Linked>({ links }: Pick<Turn<L>, 'links'>): readonly L[] {
  const set = links[0]?.part?.set;
  return set === undefined ? links.slice(0, 1) : links.filter(({ part }) => part?.set === set);
}

export interface ChainOrder<L extends Linked = Linked> {
  /** Newest first, as far as each is known to be whole. */
  readonly turns: readonly Turn<L>[];
  /** Links of an unfinished turn, newest first: undone before all others. */
  readonly attempts: readonly L[];
  /** Whether undoing the attempts leads back to the recorded point; true where there are none. */
  readonly present: boolean;
  /** Links that are not in the chain and undo nothing of it. */
  readonly unused: readonly L[];
  /** Why it goes back no further than that, where that is not its beginning. */
  readonly gap: string | undefined;
}

/**
 * Looks at names of streams and points, and at what is known to be lost; whether a link is whole is a
 * question of its content.
 */
export function orderChain<L extends Linked>(
  { point, last, pruned, doing }: Pick<ChainRecord, 'point' | 'last' | 'pruned' | 'doing'>,
  links: readonly L[],
): ChainOrder<L> {
  const { walked, missing } = walkBack({ from: last, before: pruned }, links);
  const inChain = new Set(walked);
  const unused = links.filter((link) => !inChain.has(link));
  const resting = doing === null;
  if (point === null) {
    return { turns: [], attempts: [], present: resting, unused: links, gap: undefined };
  }
  const first = walked.findIndex(({ to }) => to.uuid === point.uuid);
  const attempts = walked.slice(0, first < 0 ? walked.length : first);
  const stray = attempts.find(({ from }) => resting || from.uuid !== point.uuid);
  if (stray !== undefined) {
    const gap = `${stray.name} does not lead to the present state of the destination`;
    return { turns: [], attempts: [], present: resting, unused, gap };
  }
  const attemptLost = firstLost(attempts);
  if (attemptLost !== undefined) {
    return { turns: [], attempts: [], present: false, unused, gap: attemptLost };
  }
  const { turns, mismatch } = groupTurns(point, walked.slice(attempts.length));
  // Of the oldest that was found it may be that link, which is named below.
  const sure = missing === undefined ? turns.length : turns.length - 1;
  const losses = turns.map(
    (turn, i) => firstLost(turn.links) ?? (i < sure ? missingPart(turn) : undefined),
  );
  const lost = losses.findIndex((loss) => loss !== undefined);
  if (lost >= 0) {
    const gap = losses[lost];
    return { turns: turns.slice(0, lost), attempts, present: true, unused, gap };
  }
  const gap = mismatch ?? missing;
  if (gap === undefined) return { turns, attempts, present: true, unused, gap };
  // A missing link may be an attempt of the oldest turn that was found, which then undoes a part only.
  const present = resting || turns.length > 0;
  return {
    turns: turns.slice(0, -1),
    attempts: present ? attempts : [],
    present,
    unused,
    gap,
  };
}

function firstLost(links: readonly Linked[]): string | undefined {
  return links.find(({ lost }) => lost !== undefined)?.lost;
}

/** Whose links name each other correctly and are fewer than they say is no turn of this program. */
function missingPart(turn: Turn): string | undefined {
  const parts = completing(turn);
  const [{ name, part } = { name: '', part: undefined }] = parts;
  const found = new Set(parts.map((one) => one.part?.index)).size;
  if (part === undefined || found === part.count) return undefined;
  return `${name} is one of ${part.count} snapbacks of its cycle run, but the chain names only ${found}`;
}

/** Every point that can be gone back to, newest first, the recorded one included. */
export function pointsOf(point: Point, { turns, present }: ChainOrder): readonly Point[] {
  return present ? [point, ...turns.map(({ from }) => from)] : [];
}

/** What a restore point is worth: `undefined` for one that is exact. */
export type Exactness = Inexact | undefined;

/** Of each of pointsOf. What is restored of a point is what the turn after it overwrote. */
export function exactnessOf(
  { attempts, turns }: Pick<ChainOrder, 'attempts' | 'turns'>,
  inexact: Exactness,
): readonly Exactness[] {
  const [newest] = attempts;
  const found = [newest ? behind(inexact, { links: attempts, to: newest.to }) : inexact];
  for (const turn of turns) found.push(behind(found.at(-1), turn));
  return found;
}

/** What holds after that turn holds before it, too. */
function behind(newer: Exactness, { links, to }: Pick<Turn, 'links' | 'to'>): Exactness {
  const isMarked = (mark: string): boolean => links.some(({ comparison }) => comparison === mark);
  if (newer?.exact === 'no') return newer;
  if (isMarked(WRITTEN_BEFORE)) return { exact: 'no', seenAt: to };
  return newer ?? (isMarked(UNNOTICED) ? { exact: 'unknown', seenAt: to } : undefined);
}

/** What a person has to know of a point before it is relied on. */
export function describeInexact({ exact, seenAt }: Inexact): string {
  const before = `before the cycle run of ${localTime(seenAt.time)}`;
  return exact === 'no'
    ? `not exact: something else wrote to the copy ${before}`
    : `exact only if nothing else wrote to the copy ${before}`;
}

export interface Walk<L extends Linked> {
  /** Newest first. */
  readonly walked: readonly L[];
  /** Why it ended where a link names one before it. */
  readonly missing: string | undefined;
}

/**
 * From the link of that stream id backwards, to one that names none before it or names `before`. A
 * stream id that two files have is nobody's.
 */
export function walkBack<L extends Linked>(
  { from, before }: { readonly from: string | null; readonly before: string | null },
  links: readonly L[],
): Walk<L> {
  const byId = new Map<string, L[]>();
  for (const link of links) byId.set(link.streamId, [...(byId.get(link.streamId) ?? []), link]);
  const walked = new Set<L>();
  const end = (missing: string | undefined): Walk<L> => ({ walked: [...walked], missing });
  let newer: L | undefined;
  let next = from ?? undefined;
  while (next !== undefined && next !== before) {
    const [link, copy] = byId.get(next) ?? [];
    if (link === undefined) {
      const which =
        newer === undefined ? 'the newest snapback' : `the snapback before ${newer.name}`;
      return end(`${which} is missing (${next})`);
    }
    if (copy !== undefined) {
      return end(`${link.name} and ${copy.name} are the same snapback: remove one of them`);
    }
    if (walked.has(link)) return end(`${link.name} comes before itself`);
    walked.add(link);
    newer = link;
    next = link.previous;
  }
  return end(undefined);
}

/** `links` begin with the one that led to the point. */
function groupTurns<L extends Linked>(
  point: Point,
  links: readonly L[],
): { readonly turns: Turn<L>[]; readonly mismatch: string | undefined } {
  const turns: (Turn<L> & { readonly links: L[] })[] = [];
  let at = point;
  for (const link of links) {
    const turn = turns.at(-1);
    // Where a comparison ended it, an attempt may have been on its way to another point.
    if (turn !== undefined && link.from.uuid === at.uuid) {
      turn.links.push(link);
      continue;
    }
    if (link.to.uuid !== at.uuid) {
      return { turns, mismatch: `${link.name} does not lead to where the next one begins` };
    }
    turns.push({ from: link.from, to: link.to, links: [link] });
    at = link.from;
  }
  return { turns, mismatch: undefined };
}

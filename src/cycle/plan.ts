/**
 * The steps of one turn of a cycle, decided from what LVM has and what the receiver reports. Pure, and
 * without memory: whatever an earlier turn was doing when it ended, the snapshots that exist and the
 * point that the destination holds tell it all.
 *
 * The *base* is the snapshot of the point that the destination holds. A newer one is the *next* of a
 * turn that was interrupted: the destination may hold part of it.
 */

import { isGoingBack, type PendingStep, type Point } from '../chain/record.js';
import type { Comparison } from '../stream/control-frame.js';
import type { Base, CycleSnapshot, CycleSnapshots } from './volumes.js';

/** The receiver's report on its chain. */
export interface ChainState {
  /** The point that the destination holds, or held before an unfinished operation. */
  readonly point: Point | undefined;
  readonly doing: PendingStep | undefined;
  /** The last thing that was done there is a rollback, which can be taken back. */
  readonly wentBack?: boolean;
  /** It may not hold that point: something else wrote to it. */
  readonly written?: boolean;
}

export interface TurnFacts {
  /** The snapshots of the chain, oldest first. */
  readonly snapshots: readonly CycleSnapshot[];
  readonly chain: ChainState;
  /** The chain is to begin, with a full copy. */
  readonly init: boolean;
  /** It may begin although the destination holds a point; with `compare` the copy is compared in any case. */
  readonly force: boolean;
  /** What the snapshots and the chain cannot tell is found by comparing. */
  readonly compare: Comparison | undefined;
  /**
   * Whether the source may rewrite what the copy should hold already. False where the copy does not trust it: a run that is
   * compared leads to a newer point then, and is marked.
   */
  readonly mends?: boolean;
}

export type Refusal =
  /** No point is held, and no full copy was asked for. */
  | { readonly why: 'noPoint' }
  | { readonly why: 'holdsPoint'; readonly point: Point }
  /** A rollback was begun there, and is not finished. */
  | { readonly why: 'rollback' }
  /** There is no snapshot of the point any more. */
  | { readonly why: 'baseGone'; readonly point: Point; readonly wentBack?: boolean }
  /** It is there, with the tag of another chain than `tag`: the same place under another name. */
  | {
      readonly why: 'otherSpelling';
      readonly base: CycleSnapshot;
      readonly former: CycleSnapshots;
      readonly tag: string;
    }
  /** It is there, and of another volume: this one was named by mistake. */
  | { readonly why: 'otherOrigin'; readonly base: Base }
  | { readonly why: 'baseLost'; readonly base: CycleSnapshot }
  /** The copy is being made equal to its point again, by a run with --compare. */
  | { readonly why: 'mending'; readonly point: Point }
  | { readonly why: 'merging'; readonly snapshot: CycleSnapshot }
  /** The snapshot of which the destination holds part is gone. */
  | { readonly why: 'nextGone'; readonly point: Point }
  /** It overflowed. */
  | { readonly why: 'nextLost'; readonly next: CycleSnapshot; readonly point: Point };

export interface Turn {
  /** Nothing needs them: gone before anything else, to make room. */
  readonly removeFirst: readonly CycleSnapshot[];
  /** The copy is made equal to it before anything else. */
  readonly mend?: CycleSnapshot;
  /** The snapshot that the destination holds; undefined: everything is sent, or compared. */
  readonly base: CycleSnapshot | undefined;
  /** What differs is found by comparing; the turn leads from that point, undefined: the chain begins. */
  readonly compare?: { readonly from: Point | undefined };
  /** The snapshot that it is to hold; undefined: one to be made. */
  readonly next: CycleSnapshot | undefined;
  /** Once the receiver has confirmed the turn. */
  readonly removeAfter: readonly CycleSnapshot[];
}

export type TurnPlan =
  | { readonly kind: 'turn'; readonly turn: Turn }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export function planTurn(facts: TurnFacts): TurnPlan {
  const { snapshots, chain, init, force, compare } = facts;
  const { point, doing } = chain;
  const merging = snapshots.find(({ state }) => state === 'merging');
  if (merging !== undefined) return refused({ why: 'merging', snapshot: merging });
  // A full copy overwrites whatever a rollback left.
  if (isGoingBack(doing) && !(init && force)) return refused({ why: 'rollback' });
  if (init) {
    if (point !== undefined && !force) return refused({ why: 'holdsPoint', point });
    return planFullCopy(facts);
  }
  if (point === undefined || doing?.what === 'init') return refused({ why: 'noPoint' });
  const base = snapshots.find(({ uuid }) => uuid === point.uuid);
  if (doing?.what === 'mend' && !(compare === 'any' || (compare && !doing.foreign))) {
    return refused({ why: 'mending', point });
  }
  // Who went back by hand would lose what a rollback can take back.
  if (compare === 'any' || (compare && chain.wentBack !== true)) {
    return base?.state === 'whole' ? planMended(facts, base, point) : planComparison(facts, point);
  }
  if (base === undefined) {
    const { wentBack } = chain;
    return refused({ why: 'baseGone', point, ...(wentBack && { wentBack }) });
  }
  if (base.state === 'lost') return refused({ why: 'baseLost', base });
  return planChanges(facts, base, point);
}

/** With a base the changes are known; only what else was written to the copy has to be found. */
function planMended(facts: TurnFacts, base: CycleSnapshot, point: Point): TurnPlan {
  const { snapshots, chain, force } = facts;
  const { doing, written } = chain;
  const isLeft = snapshots.some(({ uuid, state }) => uuid === begunBy(chain) && state === 'whole');
  const isInDoubt = written === true || doing?.what === 'mend';
  if (!force && !isInDoubt && (begunBy(chain) === undefined || isLeft)) {
    return planChanges(facts, base, point);
  }
  if (facts.mends === false) return planComparison(facts, point);
  const plan = planChanges({ ...facts, chain: { point, doing: undefined } }, base, point);
  return plan.kind === 'turn' ? { ...plan, turn: { ...plan.turn, mend: base } } : plan;
}

/** Whatever is in the copy, it is compared with a newer snapshot; what an attempt wrote differs, too. */
function planComparison({ snapshots, chain }: TurnFacts, point: Point): TurnPlan {
  const { removeFirst: others, candidates } = usable(snapshots, point);
  // As long as nothing is written, the copy may be made equal to its base.
  const removeFirst = others.filter((one) => one.uuid !== point.uuid || one.state !== 'whole');
  const begun = candidates.find(({ uuid }) => uuid === begunBy(chain));
  // After a rollback to an older point the oldest one is not an attempt's, but that of the point before it.
  const isOlder = chain.wentBack === true && !snapshots.some(({ uuid }) => uuid === point.uuid);
  const attempts = isOlder ? candidates.slice(1) : candidates;
  const next = begun ?? attempts.at(-1);
  return makeTurn(snapshots, { removeFirst, base: undefined, next, compare: { from: point } });
}

/** Uuid of the snapshot of which the destination holds part. */
function begunBy({ doing }: ChainState): string | undefined {
  return doing?.what === 'turn' ? doing.to.uuid : undefined;
}

/**
 * A snapshot that an interrupted full copy left is gone on with, and one from before the point is of no
 * use: so they never become many.
 */
function planFullCopy({ snapshots, chain: { point }, compare }: TurnFacts): TurnPlan {
  const { removeFirst, candidates } = usable(snapshots, point);
  const kept = removeFirst.filter(({ uuid }) => uuid !== point?.uuid);
  return makeTurn(snapshots, {
    ...{ removeFirst: kept, base: undefined, next: candidates.at(-1) },
    ...(compare && { compare: { from: undefined } }),
  });
}

/** Those that a turn which needs no base may go on with, and the others. */
function usable(
  snapshots: readonly CycleSnapshot[],
  point: Point | undefined,
): { readonly removeFirst: CycleSnapshot[]; readonly candidates: CycleSnapshot[] } {
  const isOfUse = (one: CycleSnapshot): boolean => one.state === 'whole' && isAfter(one, point);
  return {
    removeFirst: snapshots.filter((one) => !isOfUse(one)),
    candidates: snapshots.filter(isOfUse),
  };
}

function planChanges({ snapshots, chain }: TurnFacts, base: CycleSnapshot, point: Point): TurnPlan {
  const others = snapshots.filter((one) => one !== base);
  const begun = begunBy(chain);
  const candidates = others.filter((one) => one.state === 'whole' && isAfter(one, base));
  const continued = candidates.find(({ uuid }) => uuid === begun);
  // Another snapshot may not differ from the base where this one did, and what was sent of it would stay.
  if (begun !== undefined && continued === undefined) {
    const lost = others.find(({ uuid, state }) => uuid === begun && state === 'lost');
    if (lost === undefined) return refused({ why: 'nextGone', point });
    return refused({ why: 'nextLost', next: lost, point });
  }
  const next = continued ?? candidates.at(-1);
  const removeFirst = others.filter((one) => one.state !== 'whole' || !isAfter(one, base));
  return makeTurn(snapshots, { removeFirst, base, next });
}

function isAfter(snapshot: CycleSnapshot, point: Pick<Point, 'time'> | undefined): boolean {
  return point === undefined || snapshot.time > point.time;
}

function makeTurn(snapshots: readonly CycleSnapshot[], turn: Omit<Turn, 'removeAfter'>): TurnPlan {
  const { removeFirst, next } = turn;
  const removeAfter = snapshots.filter((one) => one !== next && !removeFirst.includes(one));
  return { kind: 'turn', turn: { ...turn, removeAfter } };
}

function refused(refusal: Refusal): TurnPlan {
  return { kind: 'refused', refusal };
}

/** The effects of a turn on the world. */
export interface TurnEffects {
  make(): Promise<CycleSnapshot>;
  /** Resolves only when the receiver has confirmed that the destination holds that snapshot, its point, again. */
  mend(base: CycleSnapshot): Promise<void>;
  /** Resolves only when the receiver has confirmed that the destination holds `next`, durably. */
  send(turn: Turn, next: CycleSnapshot): Promise<void>;
  remove(snapshot: CycleSnapshot): Promise<void>;
}

/** Resolves with what the destination holds then. */
export async function takeTurn(turn: Turn, effects: TurnEffects): Promise<CycleSnapshot> {
  for (const snapshot of turn.removeFirst) await effects.remove(snapshot);
  if (turn.mend !== undefined) await effects.mend(turn.mend);
  const next = turn.next ?? (await effects.make());
  await effects.send(turn, next);
  for (const snapshot of turn.removeAfter) await effects.remove(snapshot);
  return next;
}

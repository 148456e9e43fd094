/**
 * The steps of one turn of a cycle, decided from what LVM has and what the receiver reports. Pure, and
 * without memory: whatever an earlier turn was doing when it ended, the snapshots that exist and the
 * point that the destination holds tell it all.
 *
 * The *base* is the snapshot of the point that the destination holds. A newer one is the *next* of a
 * turn that was interrupted: the destination may hold part of it.
 */

import { isGoingBack, type PendingStep, type Point } from '../chain/record.js';
import type { Base, CycleSnapshot, CycleSnapshots } from './volumes.js';

/** The receiver's report on its chain. */
export interface ChainState {
  /** The point that the destination holds, or held before an unfinished operation. */
  readonly point: Point | undefined;
  readonly doing: PendingStep | undefined;
  /** The last thing that was done there is a rollback, which can be taken back. */
  readonly wentBack?: boolean;
}

export interface TurnFacts {
  /** The snapshots of the chain, oldest first. */
  readonly snapshots: readonly CycleSnapshot[];
  readonly chain: ChainState;
  /** The chain is to begin, with a full copy. */
  readonly init: boolean;
  /** It may begin although the destination holds a point. */
  readonly force: boolean;
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
  | { readonly why: 'merging'; readonly snapshot: CycleSnapshot }
  /** The snapshot of which the destination holds part is gone. */
  | { readonly why: 'nextGone'; readonly point: Point }
  /** It overflowed. */
  | { readonly why: 'nextLost'; readonly next: CycleSnapshot; readonly point: Point };

export interface Turn {
  /** Nothing needs them: gone before anything else, to make room. */
  readonly removeFirst: readonly CycleSnapshot[];
  /** The snapshot that the destination holds; undefined: everything is sent. */
  readonly base: CycleSnapshot | undefined;
  /** The snapshot that it is to hold; undefined: one to be made. */
  readonly next: CycleSnapshot | undefined;
  /** Once the receiver has confirmed the turn. */
  readonly removeAfter: readonly CycleSnapshot[];
}

export type TurnPlan =
  | { readonly kind: 'turn'; readonly turn: Turn }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export function planTurn(facts: TurnFacts): TurnPlan {
  const { snapshots, chain, init, force } = facts;
  const { point, doing } = chain;
  const merging = snapshots.find(({ state }) => state === 'merging');
  if (merging !== undefined) return refused({ why: 'merging', snapshot: merging });
  // A full copy overwrites whatever a rollback left.
  if (isGoingBack(doing) && !(init && force)) return refused({ why: 'rollback' });
  if (init) {
    if (point !== undefined && !force) return refused({ why: 'holdsPoint', point });
    return planFullCopy(snapshots, point);
  }
  if (point === undefined || doing?.what === 'init') return refused({ why: 'noPoint' });
  const base = snapshots.find(({ uuid }) => uuid === point.uuid);
  if (base === undefined) {
    const { wentBack } = chain;
    return refused({ why: 'baseGone', point, ...(wentBack && { wentBack }) });
  }
  if (base.state === 'lost') return refused({ why: 'baseLost', base });
  return planChanges(facts, base, point);
}

/**
 * A snapshot that an interrupted full copy left is gone on with, and one from before the point is of no
 * use: so they never become many.
 */
function planFullCopy(snapshots: readonly CycleSnapshot[], point: Point | undefined): TurnPlan {
  const others = snapshots.filter(({ uuid }) => uuid !== point?.uuid);
  const isOfUse = (one: CycleSnapshot): boolean => one.state === 'whole' && isAfter(one, point);
  const removeFirst = others.filter((one) => !isOfUse(one));
  const next = others.filter(isOfUse).at(-1);
  return makeTurn(snapshots, { removeFirst, base: undefined, next });
}

function planChanges({ snapshots, chain }: TurnFacts, base: CycleSnapshot, point: Point): TurnPlan {
  const others = snapshots.filter((one) => one !== base);
  const begun = chain.doing?.what === 'turn' ? chain.doing.to.uuid : undefined;
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

function makeTurn(
  snapshots: readonly CycleSnapshot[],
  { removeFirst, base, next }: Omit<Turn, 'removeAfter'>,
): TurnPlan {
  const removeAfter = snapshots.filter((one) => one !== next && !removeFirst.includes(one));
  return { kind: 'turn', turn: { removeFirst, base, next, removeAfter } };
}

function refused(refusal: Refusal): TurnPlan {
  return { kind: 'refused', refusal };
}

/** The effects of a turn on the world. */
export interface TurnEffects {
  make(): Promise<CycleSnapshot>;
  /** Resolves only when the receiver has confirmed that the destination holds `next`, durably. */
  send(base: CycleSnapshot | undefined, next: CycleSnapshot): Promise<void>;
  remove(snapshot: CycleSnapshot): Promise<void>;
}

/** Resolves with what the destination holds then. */
export async function takeTurn(turn: Turn, effects: TurnEffects): Promise<CycleSnapshot> {
  for (const snapshot of turn.removeFirst) await effects.remove(snapshot);
  const next = turn.next ?? (await effects.make());
  await effects.send(turn.base, next);
  for (const snapshot of turn.removeAfter) await effects.remove(snapshot);
  return next;
}

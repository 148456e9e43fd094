/** The plan of a rollback of a chain. Pure: nothing of the links' content is looked at here. */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { localTime, timeSpan } from '../base/local-time.js';
import { counted } from '../base/text.js';
import {
  type ChainOrder,
  completing,
  type Exactness,
  exactnessOf,
  type Linked,
  pointsOf,
} from './order.js';
import type { ChainRecord, Point } from './record.js';

/** Where a rollback is to lead: the newest point until then, or so many turns back. */
export type RollbackTarget =
  | { readonly until: number; readonly text: string }
  | { readonly steps: number };

export interface RollbackPlan<L extends Linked = Linked> {
  /** The point that the destination holds, or held before an unfinished operation. */
  readonly from: Point;
  readonly to: Point;
  readonly steps: number;
  /** In the order in which they are undone. */
  readonly links: readonly L[];
  /** Those of them whose runs finished, so that their content has to be complete. */
  readonly complete: ReadonlySet<L>;
  /** What speaks against the point; undefined where it is exact. */
  readonly inexact: Exactness;
  /** Stream id of the newest link that remains, or null. */
  readonly last: string | null;
}

/** The restore point that was asked for does not exist, or cannot be reached. */
export class OutOfReach extends LvmsyncError {}

/** Throws (destinationUnfit) where it cannot be reached, (streamCorrupt) where a gap is the reason. */
export function planRollback<L extends Linked>(
  record: ChainRecord,
  order: ChainOrder<L>,
  target: RollbackTarget,
): RollbackPlan<L> {
  const { point, doing } = record;
  if (point === null) {
    throw refusal('there is no restore point yet: the full copy is not finished');
  }
  if (doing?.what === 'redo') {
    throw refusal('a rollback --redo is not finished', 'Run it again to finish it.');
  }
  const points = pointsOf(point, order);
  const steps = 'steps' in target ? target.steps : stepsUntil(points, target.until);
  const to = points[steps];
  if (to === undefined) throw outOfReach(points, order.gap, target);
  if (doing?.what === 'rollback') requireFurther(points.slice(0, steps + 1), doing.to);
  const turns = order.turns.slice(0, steps);
  const links = [...order.attempts, ...turns.flatMap((turn) => turn.links)];
  const complete = new Set(turns.flatMap(completing));
  const last = links.length === 0 ? record.last : (links.at(-1)?.previous ?? null);
  const inexact = exactnessOf(order, record.inexact)[steps];
  return { from: point, to, steps, links, complete, inexact, last };
}

/** From where to where, and how far that is. */
export function describeWay(
  { from, to, steps }: Pick<RollbackPlan, 'from' | 'to' | 'steps'>,
  { doing }: Pick<ChainRecord, 'doing'>,
): string {
  if (steps === 0 && doing?.what === 'turn') {
    return `undoes what the unfinished cycle run of ${localTime(doing.to.time)} wrote`;
  }
  const way = `from ${localTime(from.time)} back to ${localTime(to.time)}`;
  const distance = Date.parse(from.time) - Date.parse(to.time);
  return distance > 0 ? `${way}, ${timeSpan(distance)} earlier` : way;
}

/** How the time was understood that somebody typed, and how far the point is from it. */
export function describeChoice(
  { until, text }: Extract<RollbackTarget, { readonly until: number }>,
  { time }: Point,
): string {
  const distance = timeSpan(until - Date.parse(time));
  return `--to ${text} means ${localTime(until)} or earlier: this restore point is ${distance} older`;
}

/** As many as there are points where none is that old. */
function stepsUntil(points: readonly Point[], until: number): number {
  const found = points.findIndex(({ time }) => Date.parse(time) <= until);
  return found < 0 ? points.length : found;
}

function outOfReach(
  points: readonly Point[],
  gap: string | undefined,
  target: RollbackTarget,
): LvmsyncError {
  const wanted = 'steps' in target ? counted(target.steps, 'step') : `to ${target.text}`;
  const what = `the chain does not go back ${wanted}${reachOf(points)}`;
  if (gap === undefined) return new OutOfReach('destinationUnfit', what, UNTOUCHED);
  return new OutOfReach('streamCorrupt', `${what}: ${gap}`, {
    ...UNTOUCHED,
    ...(gap.includes(' is missing') && {
      hint: 'If that file was moved or damaged, put a good copy in its place.',
    }),
  });
}

function reachOf(points: readonly Point[]): string {
  const oldest = points.at(-1);
  if (oldest === undefined) return ', nor to any restore point';
  return `, only ${counted(points.length - 1, 'step')}, to ${localTime(oldest.time)}`;
}

/** Links that an interrupted rollback has undone stay undone, so another can only go as far or further. */
function requireFurther(passed: readonly Point[], begun: Point): void {
  if (passed.some(({ uuid }) => uuid === begun.uuid)) return;
  throw refusal(
    `a rollback to ${localTime(begun.time)} is not finished: run it again, or roll back further`,
    'Or undo it with --redo.',
  );
}

function refusal(message: string, hint?: string): LvmsyncError {
  const context = hint === undefined ? UNTOUCHED : { ...UNTOUCHED, hint };
  return new LvmsyncError('destinationUnfit', message, context);
}

/** Which turns of a chain are kept: `--keep 24`, `--keep 30d`. Pure. */

import type { Linked, Turn } from './chain-order.js';
import type { Point } from './chain-record.js';

/** Each keeps some; what none keeps may go. */
export type KeepRule =
  /** So many of the newest turns. */
  | { readonly turns: number }
  /** Turns that ended no longer before the present point than this. */
  | { readonly seconds: number };

const SECONDS: Readonly<Record<string, number>> = {
  h: 3600,
  d: 24 * 3600,
  w: 7 * 24 * 3600,
};

/** Undefined for what is no rule. */
export function parseKeepRule(text: string): KeepRule | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,6})([hdw]?)$/.exec(text) ?? [];
  const count = Number(digits);
  if (count < 1) return undefined;
  const seconds = SECONDS[unit];
  return seconds === undefined ? { turns: count } : { seconds: count * seconds };
}

/**
 * The turns that may go, newest first: all older than the oldest that a rule keeps. Ages are counted
 * back from the present point, so that a source that rested for long does not lose its past at once.
 */
export function turnsToPrune<L extends Linked>(
  rules: readonly KeepRule[],
  point: Point,
  turns: readonly Turn<L>[],
): readonly Turn<L>[] {
  if (rules.length === 0) return [];
  const now = Date.parse(point.time);
  const keeps = (turn: Turn<L>, index: number): boolean =>
    rules.some((rule) =>
      'turns' in rule ? index < rule.turns : now - Date.parse(turn.to.time) <= rule.seconds * 1000,
    );
  let kept = 0;
  for (const [index, turn] of turns.entries()) if (keeps(turn, index)) kept = index + 1;
  return turns.slice(kept);
}

/** The inverse of parseKeepRule. */
export function formatKeepRule(rule: KeepRule): string {
  return 'turns' in rule ? String(rule.turns) : `${rule.seconds / 3600}h`;
}

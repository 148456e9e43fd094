/** What is asked of a chain, and which of its turns are kept: `--keep 24`, `--keep 30d`. Pure. */

import type { Comparison } from '../stream/control-frame.js';
import type { Linked, Turn } from './order.js';
import type { Point } from './record.js';

/** Each keeps some; what none keeps may go. */
export type KeepRule =
  /** So many of the newest turns. */
  | { readonly turns: number }
  /** Turns that ended no longer before the present point than this; how that is counted: agesOf. */
  | { readonly seconds: number };

/** A request to a chain. */
export interface ChainRequest {
  /** On the destination's machine. */
  readonly directory: string;
  /** The stream is a full copy, with which the chain begins. */
  readonly init: boolean;
  /** This host asked for the run, and does not trust its source with more than it asked for: the comparison, or none. */
  readonly fetched?: Comparison | 'none';
  /** Without any, everything is kept. */
  readonly keep: readonly KeepRule[];
}

const HOUR = 3600;
/** The shortest first. */
const SECONDS: Readonly<Record<string, number>> = { h: HOUR, d: 24 * HOUR, w: 7 * 24 * HOUR };

/** Undefined unless it is a rule. */
export function parseKeepRule(text: string): KeepRule | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,6})([hdw]?)$/.exec(text) ?? [];
  const count = Number(digits);
  if (count < 1) return undefined;
  const seconds = SECONDS[unit];
  return seconds === undefined ? { turns: count } : { seconds: count * seconds };
}

/** A point that is further ahead of a clock than this is of another clock that is wrong. Milliseconds. */
const CLOCKS_DIFFER_MS = 5 * 60 * 1000;

/** Whether an age that is counted back from that point would be wrong. `now`: milliseconds since 1970. */
export function isAheadOf(now: number, { time }: Point): boolean {
  return Date.parse(time) - now > CLOCKS_DIFFER_MS;
}

export interface KeepQuestion<L extends Linked> {
  /** The restore point that the destination holds. */
  readonly point: Point;
  /** Those that led there, newest first. */
  readonly turns: readonly Turn<L>[];
  /** The clock of this machine: milliseconds since 1970. */
  readonly now: number;
}

/**
 * The turns that may go, newest first: all older than the oldest that a rule keeps. Where the point is
 * of a time to come, all are young enough for a rule that names an age.
 */
export function turnsToPrune<L extends Linked>(
  rules: readonly KeepRule[],
  { point, turns, now }: KeepQuestion<L>,
): readonly Turn<L>[] {
  if (rules.length === 0) return [];
  const ages = isAheadOf(now, point) ? turns.map(() => 0) : agesOf(point, turns);
  const keeps = (rule: KeepRule, index: number): boolean =>
    'turns' in rule ? index < rule.turns : (ages[index] ?? 0) <= rule.seconds * 1000;
  let kept = 0;
  for (const index of turns.keys()) {
    if (rules.some((rule) => keeps(rule, index))) kept = index + 1;
  }
  return turns.slice(kept);
}

/**
 * In milliseconds, counted back from the point, but for the longest pause between two turns on the way:
 * what a source that rested for long had before does not grow old by that.
 */
function agesOf(point: Point, turns: readonly Turn[]): readonly number[] {
  const end = Date.parse(point.time);
  let longestPause = 0;
  return turns.map(({ from, to }) => {
    const ended = Date.parse(to.time);
    const age = end - ended - longestPause;
    longestPause = Math.max(longestPause, ended - Date.parse(from.time));
    return age;
  });
}

/** For a receiver, whose parseKeepRule takes it: in the longest unit, no number is longer than the typed one. */
export function formatKeepRule(rule: KeepRule): string {
  if ('turns' in rule) return String(rule.turns);
  const units = Object.entries(SECONDS).filter(([, length]) => rule.seconds % length === 0);
  const [unit, length] = units.at(-1) ?? ['h', HOUR];
  return `${rule.seconds / length}${unit}`;
}

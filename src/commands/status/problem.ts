/** What needs attention, and the command that mends it. Pure. */

import type { LvmsyncError } from '../../base/errors.js';
import { localTime, timeSpan } from '../../base/local-time.js';
import { isAheadOf } from '../../chain/keep.js';

export interface Problem {
  /** One phrase, of the cycle or copy below which it stands. */
  readonly what: string;
  /** Whole sentences. */
  readonly remedy: string | undefined;
}

export function problemOf({ message, hint }: LvmsyncError): Problem {
  return { what: message, remedy: hint };
}

export interface Clock {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Milliseconds; undefined: no age is trouble. */
  readonly maxAge: number | undefined;
}

/** Milliseconds. `time`: ISO 8601. */
export function ageOf(time: string, { now }: Clock): number {
  return now - Date.parse(time);
}

/** `time`: of the newest restore point. `remedy`: where it is too old. */
export function ageProblems(time: string, clock: Clock, remedy: string): readonly Problem[] {
  const { now, maxAge } = clock;
  // A wrong clock would hide every age.
  if (isAheadOf(now, { uuid: '', time })) {
    const what = `the time ${localTime(time)} is in the future: the clock here shows ${localTime(now)}`;
    return [{ what, remedy: 'Check the clocks of both hosts: timedatectl' }];
  }
  const age = ageOf(time, clock);
  if (maxAge === undefined || age <= maxAge) return [];
  return [
    {
      what: `the last success is ${timeSpan(age)} ago: --max-age allows ${timeSpan(maxAge)}`,
      remedy,
    },
  ];
}

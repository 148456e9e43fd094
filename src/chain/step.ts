/** Which step a stream is, and whether a chain may take it. Pure. */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { localTime } from '../base/local-time.js';
import type { StreamForm } from '../stream/change-stream.js';
import { type Comparison, comparisonIn } from '../stream/control-frame.js';
import {
  type ChainRecord,
  type GoingBack,
  isGoingBack,
  isPointTime,
  isUuid,
  type Point,
} from './record.js';

/** Where a stream leads; `from` is undefined for a full copy. */
export interface Step {
  readonly from: Point | undefined;
  readonly to: Point;
  /** Its changes were found by comparing: whatever the destination holds, it matches `to` afterwards. */
  readonly compared?: Comparison;
}

/** It leads from a point to the same point: the destination is made equal to it again. */
export function isMend({ from, to }: Step): boolean {
  return from?.uuid === to.uuid;
}

/** Throws (destinationUnfit) for a stream that does not say it, or not all of it. */
export function stepOf(form: StreamForm, name: string): Step {
  const refuse = (what: string): never => {
    const context = UNTOUCHED;
    throw new LvmsyncError('destinationUnfit', `${name}: ${what}`, context);
  };
  if (form.form === 'classic') {
    return refuse('a stream in the classic form does not record its restore points');
  }
  const { kind, streamCount, attributes } = form.hello;
  if (kind === 'snapback') return refuse('a snapback cannot be applied as a cycle run');
  const { fromPoint, fromTime, toPoint, toTime } = attributes;
  if (!isUuid(toPoint) || !isPointTime(toTime)) {
    return refuse('it does not record which restore point it leads to, or the time of that');
  }
  const to = { uuid: toPoint, time: toTime };
  const compared = comparisonIn(attributes);
  if (compared && streamCount > 1) return refuse('a run that compares must be a single stream');
  // Only receivers that are at work together know of each other.
  if (kind !== 'wire' && streamCount > 1) {
    return refuse('a file with one of several streams cannot be applied as a cycle run');
  }
  if (fromPoint === undefined) return { from: undefined, to, ...(compared && { compared }) };
  const isStep = fromPoint !== toPoint || compared !== undefined;
  if (!isUuid(fromPoint) || !isPointTime(fromTime) || !isStep) {
    return refuse('it does not record which restore point it starts from, or the time of that');
  }
  return { from: { uuid: fromPoint, time: fromTime }, to, ...(compared && { compared }) };
}

/**
 * Throws (destinationUnfit) for more than a host asked for that fetches the run: a source that was taken over must not reach older
 * restore points, which a mend rewrites, nor leave a run that nobody completes.
 */
export function requireAsked(
  { form, step, name }: { readonly form: StreamForm; readonly step: Step; readonly name: string },
  fetched: Comparison | 'none',
): void {
  const refuse = (what: string): never => {
    const hint =
      'Is the same version of lvmsync on both hosts? If so, look at the host of the volume.';
    throw new LvmsyncError('destinationUnfit', `${name}: the source sends ${what}`, {
      ...UNTOUCHED,
      hint,
    });
  };
  const { compared } = step;
  if (form.form !== 'framed' || form.hello.kind !== 'wire') refuse('no stream of a cycle run');
  else if (form.hello.streamCount > 1) refuse('one of several streams, though one was asked for');
  if (compared !== undefined && compared !== fetched) refuse('a comparison that was not asked for');
  if (isMend(step)) refuse('the restore point that the copy has');
}

interface StepQuestion {
  readonly step: Step;
  /** Undefined where no chain was begun. */
  readonly record: ChainRecord | undefined;
  /** A full copy is expected. */
  readonly init: boolean;
  /** It may take the place of a chain that holds a point. */
  readonly force: boolean;
  /** This host asked for the run, and does not trust its source. */
  readonly isFetched?: boolean;
}

export interface Refusal {
  readonly what: string;
  readonly hint?: string;
  /** The option of `lvmsync rollback` that mends it; the hint ends where the command is to follow. */
  readonly rollback?: string;
}

/** A rollback finds restore points by their times: a source that was taken over must not change the order. */
function whyNotInTime({ from, to }: Step, point: Point): Refusal | undefined {
  if (from?.uuid !== point.uuid) return undefined;
  if (from.time === point.time && to.time > from.time) return undefined;
  return {
    what: `the source gives its restore points other times: from ${describePoint(from)} to ${describePoint(to)}, but the destination holds ${describePoint(point)}`,
    hint: 'Check the clocks of both hosts, and look at the host of the volume.',
  };
}

/** Undefined where the step may be taken. */
export function whyNot(question: StepQuestion): Refusal | undefined {
  const { step, record, init, force } = question;
  const doing = record?.doing;
  // A full copy overwrites all that a rollback left, which may be one that cannot be finished.
  if (isGoingBack(doing) && !(init && force)) {
    const what = 'the chain: a rollback is not finished';
    return { what, hint: 'Finish it first:', rollback: finishOption(doing) };
  }
  if (init) return whyNotInit(question);
  if (step.from === undefined) {
    const hint = 'Use --init to apply it.';
    return { what: 'the stream is a full copy, which starts a new history', hint };
  }
  if (record === undefined || record.point === null) {
    const hint =
      'Check the name of its directory. If the chain is new, start with a full copy: use --init, and let it finish.';
    return { what: 'the chain holds no restore point', hint };
  }
  const disorder = question.isFetched === true ? whyNotInTime(step, record.point) : undefined;
  return disorder ?? whyNotFollowing({ ...step, from: step.from }, record.point, record);
}

/** The option of `lvmsync rollback` that finishes it. */
export function finishOption(doing: GoingBack): string {
  return doing.what === 'redo' ? '--redo' : `--to ${localTime(doing.to.time)}`;
}

function whyNotInit({ step, record, force }: StepQuestion): Refusal | undefined {
  if (step.from !== undefined) {
    return { what: '--init needs a full copy, but this stream holds only changes' };
  }
  if (record === undefined || record.point === null || force) return undefined;
  const hint = '--init --force starts a new history; the restore points are then lost.';
  return { what: 'the chain already holds a restore point', hint };
}

function whyNotFollowing(
  { from, to, compared }: Step & { readonly from: Point },
  point: Point,
  { doing }: ChainRecord,
): Refusal | undefined {
  if (from.uuid !== point.uuid) {
    return {
      what: `the stream leads from ${describePoint(from)}, but the destination holds ${describePoint(point)}`,
    };
  }
  if (compared === 'any' || (compared && doing?.what === 'mend' && !doing.foreign))
    return undefined;
  if (doing?.what === 'mend') {
    const what =
      'a run with --compare, which makes the copy match its restore point again, is not finished';
    return { what, hint: 'Run the cycle again with --compare, without "=lost".' };
  }
  if (doing?.what !== 'turn' || doing.to.uuid === to.uuid || compared) return undefined;
  // Blocks that the attempt wrote and this stream does not name would stay.
  return {
    what: `a cycle run to ${describePoint(doing.to)} is not finished, but the stream leads to ${describePoint(to)}`,
    hint: 'Run that one again, or undo its part:',
    rollback: '--steps 0',
  };
}

function describePoint({ uuid, time }: Point): string {
  return `${localTime(time)} (${uuid})`;
}

/** Which step a stream is, and whether a chain may take it. Pure. */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { localTime } from '../base/local-time.js';
import type { StreamForm } from '../stream/change-stream.js';
import { type ChainRecord, isGoingBack, isPointTime, isUuid, type Point } from './record.js';

/** Where a stream leads; `from` is undefined for a full copy. */
export interface Step {
  readonly from: Point | undefined;
  readonly to: Point;
}

/** Throws (destinationUnfit) for a stream that does not say it, or not all of it. */
export function stepOf(form: StreamForm, name: string): Step {
  const refuse = (what: string): never => {
    const context = UNTOUCHED;
    throw new LvmsyncError('destinationUnfit', `${name}: ${what}`, context);
  };
  if (form.form === 'classic') {
    return refuse('a stream in the classic form does not say which points it leads from and to');
  }
  const { kind, streamCount, attributes } = form.hello;
  if (kind === 'snapback') return refuse('a snapback is no turn of a chain');
  if (streamCount > 1) return refuse('a turn of a chain is a single stream');
  const { fromPoint, fromTime, toPoint, toTime } = attributes;
  if (!isUuid(toPoint) || !isPointTime(toTime)) {
    return refuse('it does not say which point it leads to, and of what time that is');
  }
  const to = { uuid: toPoint, time: toTime };
  if (fromPoint === undefined) return { from: undefined, to };
  if (!isUuid(fromPoint) || !isPointTime(fromTime) || fromPoint === toPoint) {
    return refuse('it does not say which point it begins at, and of what time that is');
  }
  return { from: { uuid: fromPoint, time: fromTime }, to };
}

interface StepQuestion {
  readonly step: Step;
  /** Undefined where no chain was begun. */
  readonly record: ChainRecord | undefined;
  /** A full copy is expected. */
  readonly init: boolean;
  /** It may take the place of a chain that holds a point. */
  readonly force: boolean;
}

export interface Refusal {
  readonly what: string;
  readonly hint?: string;
  /** The option of `lvmsync rollback` that mends it; the hint ends where the command is to follow. */
  readonly rollback?: string;
}

/** Undefined where the step may be taken. */
export function whyNot(question: StepQuestion): Refusal | undefined {
  const { step, record, init, force } = question;
  const doing = record?.doing;
  // A full copy overwrites all that a rollback left, which may be one that cannot be finished.
  if (isGoingBack(doing) && !(init && force)) {
    const option = doing.what === 'redo' ? '--redo' : `--to ${localTime(doing.to.time)}`;
    const what = 'the chain: a rollback has not come to its end';
    return { what, hint: 'Finish it first:', rollback: option };
  }
  if (init) return whyNotInit(question);
  if (step.from === undefined) {
    const hint = 'Use --init for that.';
    return { what: 'the stream is a full copy, with which a chain begins', hint };
  }
  if (record === undefined || record.point === null) {
    const hint = 'It begins with a full copy under --init that comes to its end.';
    return { what: 'the chain holds no point yet', hint };
  }
  return whyNotFollowing({ from: step.from, to: step.to }, record.point, record);
}

function whyNotInit({ step, record, force }: StepQuestion): Refusal | undefined {
  if (step.from !== undefined) {
    return { what: '--init takes a full copy, and this stream holds changes only' };
  }
  if (record === undefined || record.point === null || force) return undefined;
  const hint = '--init begins it anew, and loses what it can go back to; with --force it does.';
  return { what: 'the chain holds a point already', hint };
}

function whyNotFollowing(
  { from, to }: { readonly from: Point; readonly to: Point },
  point: Point,
  { doing }: ChainRecord,
): Refusal | undefined {
  if (from.uuid !== point.uuid) {
    return {
      what: `the stream leads from ${describePoint(from)}, and the destination holds ${describePoint(point)}`,
    };
  }
  if (doing?.what !== 'turn' || doing.to.uuid === to.uuid) return undefined;
  // What the attempt wrote and this stream does not name would stay.
  return {
    what: `a turn to ${describePoint(doing.to)} has not come to its end, and the stream leads to ${describePoint(to)}`,
    hint: 'Make that turn again, or undo what was done of it:',
    rollback: '--steps 0',
  };
}

function describePoint({ uuid, time }: Point): string {
  return `${localTime(time)} (${uuid})`;
}

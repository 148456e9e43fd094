// T20, the pure half of the judgement: how a step may end, and whether it did.

import { type Case, isCyclic, type PlaceKind } from './surroundings-case.js';

/** What can be known about a step beforehand. */
export interface Expectation {
  /** Nothing speaks against it: it has to succeed. */
  readonly healthy: boolean;
  /** Somebody else wrote to the destination in a way that no program can see: its bytes are not judged. */
  readonly spoilt?: boolean;
  /** A file that a run made longer may get its former size back. */
  readonly shrinks?: boolean;
  /** A comparison: undefined for all that write. */
  readonly equal?: boolean;
}

/** What a step did, seen from outside. */
export interface Observation {
  /** Null where it did not end by itself. */
  readonly status: number | null;
  readonly stderr: string;
  readonly hung: boolean;
  /** All of the destination; undefined where the step has none. */
  readonly before?: Buffer;
  readonly after?: Buffer;
  /** What the destination may hold at the end, each from its beginning on. */
  readonly wanted?: readonly Buffer[];
}

const DOCUMENTED = new Set([3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
/** Wrong usage, which no case is: but a name may be gone when it is looked for. */
const USAGE = 1;
const MISTAKES = /unexpected:|bug in lvmsync|^\s+at .*:\d+:\d+\)?$/m;

/** Why it must not have ended so; undefined: it ended as it may. */
export function escapeOf(expected: Expectation, seen: Observation): string | undefined {
  const { status, stderr } = seen;
  if (seen.hung) return `it did not end:\n${stderr}`;
  if (MISTAKES.test(stderr)) return `an error that nobody thought of:\n${stderr}`;
  if (expected.equal !== undefined) return wrongAnswer(expected, seen);
  if (status === 0) return expected.spoilt ? undefined : wrongBytes(expected, seen);
  return wrongRefusal(expected, seen);
}

function wrongAnswer(expected: Expectation, seen: Observation): string | undefined {
  const right = expected.equal ? 0 : 4;
  if (seen.status === right) return written(seen);
  const bad = seen.status === 0 || seen.status === 4;
  if (bad) return `status ${seen.status}, and they are ${expected.equal ? 'equal' : 'different'}`;
  return wrongRefusal(expected, seen);
}

function wrongBytes(expected: Expectation, seen: Observation): string | undefined {
  const { before, after, wanted, stderr } = seen;
  if (after === undefined || wanted === undefined) return undefined;
  const differences = wanted.map((content) => difference(content, after));
  if (!differences.includes(undefined)) return `status 0, ${differences.join('; ')}\n${stderr}`;
  const longest = Math.max(...wanted.map(({ length }) => length));
  if (before === undefined || before.length <= longest) return undefined;
  if (expected.shrinks && after.length === longest) return undefined;
  if (after.length !== before.length)
    return `status 0, ${before.length} bytes became ${after.length}`;
  const rest = difference(before.subarray(longest), after.subarray(longest));
  return rest === undefined ? undefined : `status 0, written beyond the source's end: ${rest}`;
}

function wrongRefusal(expected: Expectation, seen: Observation): string | undefined {
  const { status, stderr } = seen;
  const said = `status ${status}\n${stderr}`;
  if (expected.healthy) return `refused, and nothing speaks against it: ${said}`;
  if (status === null || !(DOCUMENTED.has(status) || status === USAGE))
    return `undocumented ${said}`;
  const fatal = stderr.match(/^FATAL ERROR: /gm)?.length ?? 0;
  if (fatal !== 1 && !(status === 3 || status === 4)) return `${fatal} fatal lines, ${said}`;
  const promised =
    /othing was (written|changed)|was not touched/.test(stderr) || status === 12 || status === 19;
  return promised ? written(seen) : undefined;
}

function written({ before, after, status, stderr }: Observation): string | undefined {
  if (before === undefined || after === undefined || before.equals(after)) return undefined;
  return `status ${status}, and the destination was written nevertheless\n${stderr}`;
}

/** Where `after` does not begin with `content`. */
function difference(content: Buffer, after: Buffer): string | undefined {
  if (after.length < content.length) return `${after.length} bytes in place of ${content.length}`;
  let count = 0;
  let first = -1;
  for (let at = 0; at < content.length; at += 512) {
    const end = Math.min(at + 512, content.length);
    if (content.compare(after, at, end, at, end) === 0) continue;
    if (count++ === 0) first = at;
  }
  return count === 0 ? undefined : `${count} sectors differ, the first at ${first}`;
}

/** It may grow, as a device cannot. */
function isFile(place: PlaceKind): boolean {
  return place.startsWith('file');
}

/** The healthy combinations of what surrounds the source. */
function sourceIsHealthy({ activity, during, command, reads }: Case): boolean {
  switch (activity) {
    case 'none':
    case 'sibling removed':
      return true;
    case 'snapshot renamed':
      return during === undefined;
    case 'origin renamed':
      return during === undefined && !isCyclic(command);
    case 'origin grown':
      // What is read has to have grown, too, but for a newer snapshot that is compared with an older one.
      return during === undefined && !isCyclic(command) && reads !== '--data-source';
    case 'origin cut':
      return during === undefined && reads === '--since';
    default:
      return false;
  }
}

/** The healthy combinations of what surrounds the destination when the source is read. */
function destinationIsHealthy({ place, change, activity, reads }: Case): boolean {
  if (place === 'file that is too short') return false;
  if (change === 'cut') return false;
  // A device has to have grown with the source.
  return activity !== 'origin grown' || reads !== 'origin' || change === 'grown' || isFile(place);
}

/** Of the step that reads the source; `changed`: the destination was changed before it. */
export function expectSending(what: Case, changed: boolean): Expectation {
  const atEnd = changed ? what : { ...what, change: 'none' as const };
  return { healthy: sourceIsHealthy(what) && destinationIsHealthy(atEnd) };
}

/** Of the first turn of a cycle, which copies everything. */
export function expectInit(): Expectation {
  return { healthy: true };
}

/** Of a further turn, or of the way back by a chain or an undo file. */
export function expectStep(what: Case, sourceMatters: boolean): Expectation {
  const { change, place } = what;
  const healthy = change === 'none' && (!sourceMatters || sourceIsHealthy(what));
  // Of the same volume or file nothing says who wrote to it; and a file is known by its path and size.
  const spoilt = change === 'restored' || (change === 'replaced' && isFile(place));
  return { healthy, spoilt, shrinks: !sourceMatters };
}

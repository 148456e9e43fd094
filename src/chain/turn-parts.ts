/**
 * One turn that several receivers take, one for each stream. Each has a link of its own, and each link names the one that
 * began to write before it, as links of attempts do. The record counts the receivers that ended: the last one completes the turn.
 */

import { LvmsyncError } from '../base/errors.js';
import { withDirectoryLock } from '../host/file-lock.js';
import { MOST_PLACES } from '../pipeline/place-sample.js';
import type { StreamPosition } from '../stream/control-frame.js';
import { type ChainRecord, readRecord, type TurnParts } from './record.js';

type Ending = 'ended' | 'failed';

/** The record while the parts of a turn are under way. */
export interface SharedRecord extends ChainRecord {
  readonly doing: NonNullable<ChainRecord['doing']> & { readonly parts: TurnParts };
}

export class TurnPart {
  readonly place: StreamPosition;
  readonly #directory: string;

  constructor(directory: string, place: StreamPosition) {
    this.place = place;
    this.#directory = directory;
  }

  /** For the record, when the first of them begins. */
  get parts(): TurnParts {
    return { set: setOf(this.place), count: this.place.streamCount, ...NOBODY };
  }

  /** The record, if one of them has begun. */
  read(): SharedRecord | undefined {
    return sharedIn(readRecord(this.#directory), setOf(this.place));
  }

  /** The same once this one has begun. Throws (snapback). */
  require(): SharedRecord {
    const shared = this.read();
    if (shared !== undefined) return shared;
    throw new LvmsyncError(
      'snapback',
      `${this.#directory}: its record does not name this cycle run any more`,
    );
  }

  /** Throws (locked) if the others do not let it. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    const done = await withDirectoryLock(this.#directory, work);
    if (done !== undefined) return done.result;
    throw new LvmsyncError(
      'locked',
      `${this.#directory}: the other receivers of this cycle run did not release it within a minute, or its file system has no locks`,
      { hint: 'If that happens again, run the cycle without --streams.' },
    );
  }

  /** The record when this one writes nothing any more. */
  after(record: SharedRecord, how: Ending, places: readonly number[]): SharedRecord {
    return withEnding(record, this.place.streamIndex, { how, places });
  }
}

const NOBODY = { ended: [], failed: [], places: [] };

function setOf({ setId }: StreamPosition): string {
  return Buffer.from(setId).toString('hex');
}

/** Pure, as are those below. */
export function sharedIn(record: ChainRecord | undefined, set: string): SharedRecord | undefined {
  const doing = record?.doing;
  if (record === undefined || (doing?.what !== 'turn' && doing?.what !== 'init')) return undefined;
  const { parts } = doing;
  return parts?.set === set ? { ...record, doing: { ...doing, parts } } : undefined;
}

export function withEnding(
  record: SharedRecord,
  index: number,
  { how, places }: { readonly how: Ending; readonly places: readonly number[] },
): SharedRecord {
  const { parts } = record.doing;
  const changed = {
    ...parts,
    [how]: [...new Set([...parts[how], index])],
    places: sampleOf(parts, places),
  };
  return { ...record, doing: { ...record.doing, parts: changed } };
}

/** As many of each stream, mixed: only the first ones are looked at again. */
function sampleOf({ count, places }: TurnParts, more: readonly number[]): readonly number[] {
  const some = more.slice(0, Math.max(1, Math.floor(MOST_PLACES / count)));
  const mixed = places.flatMap((place, i) => [...some.slice(i, i + 1), place]);
  return [...mixed, ...some.slice(places.length)];
}

export function isWhole({ doing: { parts } }: SharedRecord): boolean {
  return parts.ended.length === parts.count;
}

/** None of them writes any more. */
export function isOver({ doing: { parts } }: SharedRecord): boolean {
  return new Set([...parts.ended, ...parts.failed]).size === parts.count;
}

/**
 * The record of a chain: which point its destination holds, and what is being done to it. Whatever is
 * about to change the destination says so here first, and says here last that it is done, so that after
 * any crash the record tells what can be believed.
 */

import { join } from 'node:path';
import { messageOf, reasonOf } from '../base/errno.js';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { areTexts, isObject, isTextOrNull, parseObject } from '../base/json-object.js';
import { readRegular, replaceDurably } from '../host/durable-file.js';
import { isSpot, type Spot } from './spot-check.js';

/** A state of the source: what one of its snapshots held. */
export interface Point {
  /** LVM's uuid of the snapshot. */
  readonly uuid: string;
  /** ISO 8601, UTC, whole seconds. */
  readonly time: string;
}

export interface ChainDestination {
  /** Null for what has none that lasts, such as a file: then its path counts. */
  readonly identity: string | null;
  /** Absolute. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/** The operation that is not finished; the destination then holds no point. */
export type PendingStep =
  /** A full copy. */
  | { readonly what: 'init'; readonly to: Point; readonly parts?: TurnParts | undefined }
  | { readonly what: 'turn'; readonly to: Point; readonly parts?: TurnParts | undefined }
  /**
   * What does not belong to the point that it held is being overwritten, so that it holds that point again. `foreign`:
   * not only what an attempt wrote.
   */
  | { readonly what: 'mend'; readonly to: Point; readonly foreign: boolean }
  | ({ readonly what: 'rollback'; readonly to: Point } & Undone)
  | ({ readonly what: 'redo' } & Undone);

/** A turn that several receivers take, one for each stream. Older programs do not know it. Streams are counted from 1. */
export interface TurnParts {
  /** Set id of the streams, in hexadecimal. */
  readonly set: string;
  readonly count: number;
  /** All that these brought is durable. */
  readonly ended: readonly number[];
  /** These failed, and write nothing any more. */
  readonly failed: readonly number[];
  /** Some of the places that both wrote. */
  readonly places: readonly number[];
}

/** A rollback, or the taking back of one. */
export type GoingBack = Extract<PendingStep, Undone>;

export function isGoingBack(doing: PendingStep | null | undefined): doing is GoingBack {
  return doing?.what === 'rollback' || doing?.what === 'redo';
}

/** Where a rollback put what takes it back. */
export interface Undone {
  /** Name of a folder in the chain. */
  readonly folder: string;
  /** Stream id, in hexadecimal, of the newest snapback of the rollback itself. */
  readonly redo: string;
}

/** Which run wrote last, as the registry of copies names it. */
export interface RecordWriter {
  readonly run: string;
  /** The registry's run before: a run that was cut off in between left it there. */
  readonly before: string | null;
  /** When it began to write: ISO 8601, UTC. Absent: of a program that did not note it. */
  readonly at?: string | undefined;
}

export interface ChainRecord {
  readonly version: 1;
  readonly destination: ChainDestination;
  /** The point that it holds, or held before an unfinished operation; null while nothing of it is known. */
  readonly point: Point | null;
  /** Stream id, in hexadecimal, of the newest link. */
  readonly last: string | null;
  /** The same of the newest link that was no longer to be kept: there the chain begins. */
  readonly pruned: string | null;
  readonly doing: PendingStep | null;
  /** The last operation, if it was a rollback: only then can it be undone. */
  readonly undone: Undone | null;
  /** Files that no restore point needs; see chain-leftover. Older programs leave it out. */
  readonly leftover?: Leftover;
  /** After a rollback: what is known to speak against the point. Absent: nothing. */
  readonly inexact?: Inexact | undefined;
  /** LVM's uuid of the volume that is copied. Older programs leave it out. */
  readonly source?: string | undefined;
  /** What its first full copy could begin with, see head-kind: no link tells. Absent: nothing special, or an older program. */
  readonly headKinds?: readonly string[] | undefined;
  /** Absent: of a program that kept no registry. */
  readonly writer?: RecordWriter | undefined;
  /** Absent while something is being done. */
  readonly left?: Left | undefined;
  /** Only while something is being done, and only if `run` is that of `writer`. Older programs do not know it. */
  readonly attempt?: Attempt | undefined;
}

/** How the destination was recognised when an operation ended that could not finish. */
export interface Attempt {
  /** As the writer has it. */
  readonly run: string;
  /** As of Left. */
  readonly mark?: string | undefined;
  readonly spots: readonly Spot[];
}

/** How the destination was recognised when a run was done; worthless if the record has another point or link. */
export interface Left {
  /** Its writeMark; absent where nothing counts what is written. */
  readonly mark?: string | undefined;
  /** Some of its pages. */
  readonly spots?: readonly Spot[] | undefined;
  /** Uuid of the point. */
  readonly point: string | null;
  readonly last: string | null;
}

/** The destination holds the point only if nothing else had written to it before a run (`unknown`), or not (`no`). */
export interface Inexact {
  readonly exact: 'unknown' | 'no';
  /** Where that run led. */
  readonly seenAt: Point;
}

export interface Leftover {
  /** Stream id of the newest link of each chain that was begun anew. */
  readonly links: readonly string[];
  /** Rollbacks that cannot be taken back, since a turn was taken. */
  readonly undone: readonly Undone[];
}

export const RECORD_NAME = 'chain.json';
const VERSION = 1;

/** Undefined if there is none. Throws (streamCorrupt) if it cannot be understood, (snapback) if not read. */
export function readRecord(directory: string): ChainRecord | undefined {
  const path = join(directory, RECORD_NAME);
  const text = readIfThere(path);
  return text === undefined ? undefined : parseRecord(text, path);
}

function readIfThere(path: string): string | undefined {
  try {
    return readRegular(path);
  } catch (cause) {
    const code = reasonOf(cause);
    if (code === 'ENOENT') return undefined;
    throw new LvmsyncError('snapback', `${path}: cannot be read (${code})`, { cause });
  }
}

/** Durable when it returns. Throws (snapback). Only who holds the lock of the chain may call it. */
export function writeRecord(directory: string, record: ChainRecord): void {
  const path = join(directory, RECORD_NAME);
  try {
    replaceDurably(path, `${JSON.stringify(record, undefined, 2)}\n`);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new LvmsyncError('snapback', `${path}: cannot be written (${reason})`, { cause });
  }
}

/** Throws (streamCorrupt); `path` is how it is named then. */
export function parseRecord(text: string, path: string): ChainRecord {
  const value = parseObject(text);
  if (isObject(value) && typeof value.version === 'number' && value.version !== VERSION) {
    throw corrupt(path, `it has version ${value.version}, which this lvmsync does not know`);
  }
  if (isRecord(value)) return value;
  throw corrupt(path, 'not the record of a chain');
}

export function isPoint(value: unknown): value is Point {
  return isObject(value) && isUuid(value.uuid) && isPointTime(value.time);
}

/** As LVM writes them; of other makers any word will do. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && /^[\w-]{1,64}$/.test(value);
}

/** `2026-11-23T10:15:00Z`, and a moment that exists. */
export function isPointTime(value: unknown): value is string {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value)) return false;
  const moment = Date.parse(value);
  return !Number.isNaN(moment) && new Date(moment).toISOString() === value.replace('Z', '.000Z');
}

export function isStreamId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

function isRecord(value: unknown): value is ChainRecord {
  if (!isObject(value) || value.version !== VERSION) return false;
  const { destination, point, last, pruned, doing, undone } = value;
  const { leftover, inexact, source, headKinds = [], writer, left, attempt } = value;
  return (
    isDestination(destination) &&
    (point === null || isPoint(point)) &&
    (last === null || isStreamId(last)) &&
    (pruned === null || isStreamId(pruned)) &&
    (doing === null || isPendingStep(doing)) &&
    (undone === null || isUndone(undone)) &&
    (leftover === undefined || isLeftover(leftover)) &&
    (inexact === undefined || isInexact(inexact)) &&
    (source === undefined || typeof source === 'string') &&
    areTexts(headKinds) &&
    (writer === undefined || isWriter(writer)) &&
    (left === undefined || isLeft(left)) &&
    (attempt === undefined || isAttempt(attempt))
  );
}

function isInexact(value: unknown): value is Inexact {
  if (!isObject(value)) return false;
  const { exact, seenAt } = value;
  return (exact === 'unknown' || exact === 'no') && isPoint(seenAt);
}

function isLeftover(value: unknown): value is Leftover {
  if (!isObject(value)) return false;
  const { links, undone } = value;
  const named = Array.isArray(links) && links.every(isStreamId);
  return named && Array.isArray(undone) && undone.every(isUndone);
}

function isWriter(value: unknown): value is RecordWriter {
  if (!isObject(value)) return false;
  const { run, before, at } = value;
  return typeof run === 'string' && isTextOrNull(before) && isTextOrNull(at ?? null);
}

function isLeft(value: unknown): value is Left {
  if (!isObject(value)) return false;
  const { mark, point, last, spots } = value;
  const named = isTextOrNull(mark ?? null) && isTextOrNull(point) && isTextOrNull(last);
  return named && (spots === undefined || (Array.isArray(spots) && spots.every(isSpot)));
}

function isAttempt(value: unknown): value is Attempt {
  if (!isObject(value)) return false;
  const { run, mark, spots } = value;
  const named = typeof run === 'string' && isTextOrNull(mark ?? null);
  return named && Array.isArray(spots) && spots.every(isSpot);
}

function isDestination(value: unknown): value is ChainDestination {
  if (!isObject(value)) return false;
  const { identity, path, size } = value;
  const named = identity === null || typeof identity === 'string';
  return named && typeof path === 'string' && Number.isSafeInteger(size);
}

export function isPendingStep(value: unknown): value is PendingStep {
  if (!isObject(value)) return false;
  switch (value.what) {
    case 'init':
    case 'turn':
      return isPoint(value.to) && (value.parts === undefined || isTurnParts(value.parts));
    case 'mend':
      return isPoint(value.to) && typeof value.foreign === 'boolean';
    case 'rollback':
      return isPoint(value.to) && isUndone(value);
    case 'redo':
      return isUndone(value);
    default:
      return false;
  }
}

function isTurnParts(value: unknown): value is TurnParts {
  if (!isObject(value)) return false;
  const { set, count, ended, failed, places } = value;
  const lists = [ended, failed, places];
  return (
    isStreamId(set) &&
    Number.isSafeInteger(count) &&
    lists.every((list) => Array.isArray(list) && list.every(Number.isSafeInteger))
  );
}

/** The name is joined to a path, so it must not lead out of the chain. */
function isUndone(value: unknown): value is Undone {
  if (!isObject(value)) return false;
  const { folder, redo } = value;
  return typeof folder === 'string' && /^undone-[\w-]+$/.test(folder) && isStreamId(redo);
}

function corrupt(path: string, what: string): LvmsyncError {
  return new LvmsyncError('streamCorrupt', `${path}: ${what}`, {
    ...UNTOUCHED,
    hint: 'Without it you can only apply single snapbacks, newest first, with --apply; "lvmsync inspect" shows what each one holds. To begin anew, move the directory away, then run the cycle with --init --compare.',
  });
}

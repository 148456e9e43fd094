/**
 * The lines with which the host of a copy fetches a cycle run from the host of the volume. Pure. docs/format.md is the
 * specification. Of the lines of a puller nothing is taken but what has exactly the form of one.
 */

import { createHash } from 'node:crypto';
import { isPointTime, isUuid, type Point } from '../chain/record.js';
import type { Comparison } from '../stream/control-frame.js';
import type { ChainState } from './plan.js';

/** `init` begins the history, `anew` also where the copy has one. */
export type PullMode = 'next' | 'init' | 'anew';

export interface PullRequest {
  /** 32 hexadecimal digits, random. */
  readonly session: string;
  /** Of the copy and its directory: see chainIdOf. */
  readonly chain: string;
  readonly mode: PullMode;
  /** What the snapshots and the copy cannot tell is found by comparing. */
  readonly compare: Comparison | undefined;
  /** The one that the copy holds, or held before an unfinished operation. */
  readonly point: Point | undefined;
  /** The one of which the copy holds part. */
  readonly begun: Point | undefined;
  /** What else is known of the copy. */
  readonly facts: readonly CopyFact[];
}

/**
 * `written`: something else wrote to it; `back`: a rollback was the last thing; `mending`: it is being made equal to its point
 * again, after an attempt; `restoring`: the same after something else wrote to it.
 */
const COPY_FACTS = ['written', 'back', 'mending', 'restoring'] as const;
export type CopyFact = (typeof COPY_FACTS)[number];

/** Characters; a longer line is none of a puller. */
export const LONGEST_PULL_LINE = 512;

const WORD = 'lvmsync-pull 1';
const NONE = '-';

/** One line, with its end; so are those below. */
export function formatPullRequest(request: PullRequest): string {
  const { session, chain, mode, compare, facts } = request;
  const points = `${formatPoint(request.point)} ${formatPoint(request.begun)}`;
  return `${WORD} ${session} ${chain} ${mode} ${compare ?? NONE} ${points} ${facts.join(',') || NONE}\n`;
}

const REQUEST =
  /^lvmsync-pull 1 ([0-9a-f]{32}) ([0-9a-f]{12}) (next|init|anew) (any|lost|-) (\S+) (\S+) (\S+)$/;

/** Undefined for any other line, and for a request that nobody can mean. */
export function parsePullRequest(line: string): PullRequest | undefined {
  if (line.length > LONGEST_PULL_LINE) return undefined;
  const [, session, chain, mode, compared, one = '', other = '', known = ''] =
    REQUEST.exec(line) ?? [];
  const point = parsePoint(one);
  const begun = parsePoint(other);
  const facts = parseFacts(known);
  if (session === undefined || chain === undefined || !isMode(mode)) return undefined;
  if (point === undefined || begun === undefined || facts === undefined) return undefined;
  const isInWork = begun !== null || facts.length > 0;
  const fits = mode === 'next' ? point !== null : !isInWork && (mode !== 'init' || !point);
  if (!fits || (begun !== null && isMending(facts))) return undefined;
  const compare = compared === 'any' || compared === 'lost' ? compared : undefined;
  const points = { point: point ?? undefined, begun: begun ?? undefined };
  return { session, chain, mode, compare, ...points, facts };
}

/** Each at most once, in their order. */
function parseFacts(text: string): readonly CopyFact[] | undefined {
  if (text === NONE) return [];
  const facts = COPY_FACTS.filter((fact) => text.split(',').includes(fact));
  return facts.join(',') === text ? facts : undefined;
}

function isMending(facts: readonly CopyFact[]): boolean {
  return facts.includes('mending') || facts.includes('restoring');
}

function isMode(word: string | undefined): word is PullMode {
  return word === 'next' || word === 'init' || word === 'anew';
}

function formatPoint(point: Point | undefined): string {
  return point === undefined ? NONE : `${point.uuid}@${point.time}`;
}

/** Null for none, undefined for what is no point. */
function parsePoint(word: string): Point | null | undefined {
  if (word === NONE) return null;
  const [uuid, time, ...more] = word.split('@');
  return isUuid(uuid) && isPointTime(time) && more.length === 0 ? { uuid, time } : undefined;
}

/** `volume`: VG/LV. */
export function formatServes(session: string, volume: string): string {
  return `${WORD} ${session} serves ${volume}\n`;
}

/** VG/LV; undefined for any other line. */
export function parseServes(line: string, session: string): string | undefined {
  const [, volume] = /serves ([\w+.-]{1,128}\/[\w+.-]{1,128})$/.exec(line) ?? [];
  return line === `${WORD} ${session} serves ${volume}` ? volume : undefined;
}

export function formatGo(session: string): string {
  return `${WORD} ${session} go\n`;
}

export function isGo(line: string, session: string): boolean {
  return `${line}\n` === formatGo(session);
}

/** As planTurn takes it. */
export function stateOf({ point, begun, facts }: PullRequest): ChainState {
  const foreign = facts.includes('restoring');
  const mend =
    point && isMending(facts) ? ({ what: 'mend', to: point, foreign } as const) : undefined;
  return {
    point,
    doing: begun ? { what: 'turn', to: begun } : mend,
    ...(facts.includes('back') && { wentBack: true }),
    ...(facts.includes('written') && { written: true }),
  };
}

/** The other direction. */
export function factsOf({ doing, wentBack, written }: ChainState): readonly CopyFact[] {
  const mend = doing?.what === 'mend' ? doing : undefined;
  const isTrue: Record<CopyFact, boolean> = {
    written: written === true,
    back: wentBack === true,
    mending: mend?.foreign === false,
    restoring: mend?.foreign === true,
  };
  return COPY_FACTS.filter((fact) => isTrue[fact]);
}

/** The same in every run of one copy. The paths are absolute. */
export function chainIdOf(place: {
  readonly host: string;
  readonly path: string;
  readonly directory: string;
}): string {
  const text = JSON.stringify([place.host, place.path, place.directory]);
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

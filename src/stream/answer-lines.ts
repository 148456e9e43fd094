/**
 * The lines with which a receiver of a wire stream answers on its stdout. Pure. docs/format.md is
 * the specification. Nobody else writes them: a classic stream is answered by the exit status alone.
 */

import { escapeText } from '../base/text.js';

/** It is at work on something that takes long, before it can be ready. May be said several times. */
export interface Busy {
  readonly kind: 'busy';
  readonly streamId: string;
}

/** The destination is claimed and the snapback durable: from here on a result will follow. */
export interface Ready {
  readonly kind: 'ready';
  readonly streamId: string;
  readonly features: readonly string[];
}

/** Every byte was checked, written and flushed. */
export interface Done {
  readonly kind: 'done';
  readonly streamId: string;
  readonly records: number;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly digest: string;
}

export interface Failed {
  readonly kind: 'failed';
  readonly streamId: string;
  readonly exitStatus: number;
  readonly message: string;
}

/** It is an answer of that stream, but not one that can be read. */
export interface Garbled {
  readonly kind: 'garbled';
  readonly streamId: string;
}

export type Answer = Busy | Ready | Done | Failed;

/** The receiver knows DISCARD frames. */
export const DISCARD_FEATURE = 'discard';
/** It reads what comes after a frame that says so as LZ4. */
export const LZ4_FEATURE = 'lz4';
/** It answers with hashes of its destination before it takes data. */
export const COMPARE_FEATURE = 'compare';

const VERSION = '1';
const BUSY = 'lvmsync-busy';
const READY = 'lvmsync-ready';
const RESULT = 'lvmsync-result';
const LONGEST_MESSAGE = 2000;

/** One line, with its end. */
export function formatAnswer(answer: Answer): string {
  const { streamId } = answer;
  switch (answer.kind) {
    case 'busy':
      return `${[BUSY, VERSION, streamId].join(' ')}\n`;
    case 'ready':
      return `${[READY, VERSION, streamId, ...answer.features].join(' ')}\n`;
    case 'done':
      return `${[RESULT, VERSION, streamId, 'ok', answer.records, answer.bytes, answer.digest].join(' ')}\n`;
    case 'failed': {
      const text = escapeText(answer.message, LONGEST_MESSAGE);
      return `${[RESULT, VERSION, streamId, 'failed', answer.exitStatus, text].join(' ')}\n`;
    }
  }
}

const HEAD = /lvmsync-(busy|ready|result) 1 [0-9a-f]{32}( |$)/;

/**
 * A line without what stands before its answer, such as the words of a login that did not end theirs; all of
 * a line without an answer.
 */
export function cutNoise(line: string): { readonly noise: string; readonly answer: string } {
  const at = line.search(HEAD);
  return at < 0
    ? { noise: line, answer: '' }
    : { noise: line.slice(0, at), answer: line.slice(at) };
}

/** Undefined for any other line, and for one of a version that is not known here. */
export function parseAnswer(line: string): Answer | Garbled | undefined {
  const [word, version, streamId = '', ...rest] = line.split(' ');
  if (version !== VERSION || !/^[0-9a-f]{32}$/.test(streamId)) return undefined;
  if (word === BUSY) return { kind: 'busy', streamId };
  if (word === READY) return { kind: 'ready', streamId, features: rest.filter(isFeature) };
  if (word !== RESULT) return undefined;
  const [outcome, first = '', second = '', third = ''] = rest;
  if (outcome === 'failed' && isCount(first)) {
    return {
      kind: 'failed',
      streamId,
      exitStatus: Number(first),
      message: rest.slice(2).join(' '),
    };
  }
  const wellFormed = rest.length === 4 && isCount(first) && isCount(second) && isDigest(third);
  if (outcome !== 'ok' || !wellFormed) return { kind: 'garbled', streamId };
  return { kind: 'done', streamId, records: Number(first), bytes: Number(second), digest: third };
}

/** Words of a later version have to be of this form too; others are passed over. */
function isFeature(text: string): boolean {
  return /^[a-z][a-z0-9-]*$/.test(text);
}

function isDigest(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

function isCount(text: string): boolean {
  return /^\d{1,16}$/.test(text);
}

/** Answers requests for the hashes of a destination, which come as lines on standard input. */

import { LvmsyncError } from '../base/errors.js';
import { inOrder } from '../base/in-order.js';
import { LineSplitter } from '../base/lines.js';
import { endOf } from '../device/operations.js';
import { native } from '../host/native.js';
import { STDOUT } from '../host/write-fully.js';
import { HASH_DEPTH, type HashedDestination } from '../pipeline/block-hashes.js';
import {
  formatHashAnswer,
  type HashAnswer,
  type HashRequest,
  parseHashRequest,
} from '../stream/hash-lines.js';

export const STDIN = 0;
const INPUT_SIZE = 64 * 1024;

export type Answer = (one: HashAnswer) => Promise<void>;

/** Each as a line on standard output, for the conversation of that id. */
export function answerTo(session: string): Answer {
  const output = new native.RecordWriter(STDOUT, new Uint8Array(16));
  // A line that the login printed before may not have ended.
  return (one) => output.writeRaw(Buffer.from(`\n${formatHashAnswer(session, one)}`));
}

/** The last request: how many there were before it, and how many bytes will be sent, where that follows. */
export interface LastRequest {
  readonly requests: number;
  readonly bytes: number | undefined;
}

/** Answers all but the last one. Throws (streamTruncated, streamCorrupt) for requests that are not as they should be. */
export async function answerHashes(
  requests: AsyncIterable<HashRequest>,
  destination: HashedDestination,
  answer: Answer,
): Promise<LastRequest> {
  const replies = inOrder(requests, HASH_DEPTH + 1, (request) => reply(request, destination));
  let answered = 0;
  for await (const one of replies) {
    if (one.number !== answered) {
      throw refuse(`it asks for number ${one.number} where number ${answered} comes next`);
    }
    if (one.kind === 'end') return { requests: answered, bytes: one.bytes };
    await answer(one);
    answered++;
  }
  throw new LvmsyncError('streamTruncated', 'standard input: the requests end without an end mark');
}

type Reply =
  | Extract<HashAnswer, { kind: 'hashes' }>
  | { readonly kind: 'end'; readonly number: number; readonly bytes: number | undefined };

async function reply(request: HashRequest, destination: HashedDestination): Promise<Reply> {
  switch (request.kind) {
    case 'hello':
      throw refuse('it begins twice');
    case 'end':
      return { kind: 'end', number: request.requests, bytes: request.bytes };
    case 'blocks': {
      const { number, operations } = request;
      if (endOf(operations) > destination.size) throw refuse('it asks for blocks beyond the end');
      return { kind: 'hashes', number, hashes: await destination.hash(operations) };
    }
  }
}

/** As fast as they are taken, up to the last one. A signal makes it throw the addon's error. */
export async function* readRequests(signal: AbortSignal): AsyncGenerator<HashRequest, void> {
  const input = new native.InputStream(STDIN);
  const stop = (): void => input.cancel();
  signal.addEventListener('abort', stop);
  try {
    const splitter = new LineSplitter();
    const buffer = new ArrayBuffer(INPUT_SIZE);
    for (;;) {
      const count = await input.read(buffer);
      const lines = count === 0 ? splitter.end() : splitter.push(new Uint8Array(buffer, 0, count));
      for (const line of lines) {
        const request = parseHashRequest(line);
        if (request === undefined) throw refuse('it has a line of unknown form');
        yield request;
        if (request.kind === 'end') return;
      }
      if (count === 0) return;
    }
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

export function refuse(why: string): LvmsyncError {
  return new LvmsyncError('streamCorrupt', `standard input: not requests for hashes: ${why}`);
}

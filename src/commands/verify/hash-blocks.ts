/** `lvmsync --hash-blocks DESTINATION`: answers a verify, on the host of the destination. */

import { isatty } from 'node:tty';
import { EXIT, LvmsyncError } from '../../base/errors.js';
import { inOrder } from '../../base/in-order.js';
import { LineSplitter } from '../../base/lines.js';
import type { HashCommand } from '../../cli/command.js';
import { FileDevice } from '../../device/block-device.js';
import { endOf } from '../../device/operations.js';
import { selectEngine } from '../../device/select-engine.js';
import { isNativeError, native } from '../../host/native.js';
import { STDOUT } from '../../host/write-fully.js';
import { HASH_DEPTH, type HashedDestination, watchedHashes } from '../../pipeline/block-hashes.js';
import type { RunContext } from '../../run/context.js';
import { interrupted } from '../../run/interruption.js';
import { formatAnswer } from '../../stream/answer-lines.js';
import {
  formatHashAnswer,
  type HashAnswer,
  type HashRequest,
  parseHashRequest,
} from '../../stream/hash-lines.js';

const STDIN = 0;
const INPUT_SIZE = 64 * 1024;

export async function runHashBlocks(command: HashCommand, context: RunContext): Promise<number> {
  if (isatty(STDIN)) {
    throw new LvmsyncError('usage', '--hash-blocks is internal: verify starts it', {
      hint: 'lvmsync verify SNAPSHOT HOST:DESTINATION',
    });
  }
  const reading = new AbortController();
  const stop = (): void => reading.abort();
  context.signal.addEventListener('abort', stop);
  const requests = readRequests(reading.signal);
  let session = '';
  try {
    const hello = await requests.next();
    if (hello.done || hello.value.kind !== 'hello') throw refuse('its first line is missing');
    session = hello.value.session;
    selectEngine(context);
    await serve(command.destination, { requests, session });
    return EXIT.done;
  } catch (error) {
    if (context.signal.aborted) throw interrupted(context.signal);
    if (isNativeError(error)) throw lostReader(error);
    if (error instanceof LvmsyncError && session !== '') {
      const { exitStatus, message } = error;
      context.answer(formatAnswer({ kind: 'failed', streamId: session, exitStatus, message }));
    }
    throw error;
  } finally {
    // Its reader may wait for a peer that waits for our end.
    stop();
    context.signal.removeEventListener('abort', stop);
  }
}

interface Conversation {
  readonly requests: AsyncGenerator<HashRequest, void>;
  readonly session: string;
}

async function serve(path: string, { requests, session }: Conversation): Promise<void> {
  const device = await FileDevice.open(path, { role: 'destination' });
  const destination = await watchedHashes(device).catch(async (error: unknown) => {
    await device.close();
    throw error;
  });
  const output = new native.RecordWriter(STDOUT, new Uint8Array(16));
  const answer = (one: HashAnswer): Promise<void> =>
    // A line that the login printed before may not have ended.
    output.writeRaw(Buffer.from(`\n${formatHashAnswer(session, one)}`));
  try {
    await answer({ kind: 'ready', size: destination.size });
    await answerAll(requests, destination, answer);
  } finally {
    await destination.close();
  }
}

async function answerAll(
  requests: AsyncIterable<HashRequest>,
  destination: HashedDestination,
  answer: (one: HashAnswer) => Promise<void>,
): Promise<void> {
  const replies = inOrder(requests, HASH_DEPTH + 1, (request) => reply(request, destination));
  let answered = 0;
  for await (const one of replies) {
    if (one.number !== answered) {
      throw refuse(`it asks for number ${one.number} where number ${answered} comes next`);
    }
    if (one.kind === 'end') {
      const writes = await destination.finish();
      return answer({ kind: 'done', requests: answered, writes });
    }
    await answer(one);
    answered++;
  }
  throw new LvmsyncError('streamTruncated', 'standard input: the requests end without an end mark');
}

type Reply = Extract<HashAnswer, { kind: 'hashes' }> | { readonly kind: 'end'; number: number };

async function reply(request: HashRequest, destination: HashedDestination): Promise<Reply> {
  switch (request.kind) {
    case 'hello':
      throw refuse('it begins twice');
    case 'end':
      return { kind: 'end', number: request.requests };
    case 'blocks': {
      const { number, operations } = request;
      if (endOf(operations) > destination.size) throw refuse('it asks for blocks beyond the end');
      return { kind: 'hashes', number, hashes: await destination.hash(operations) };
    }
  }
}

/** As fast as they are taken, up to the last one. A signal makes it throw the addon's error. */
async function* readRequests(signal: AbortSignal): AsyncGenerator<HashRequest, void> {
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

function refuse(why: string): LvmsyncError {
  return new LvmsyncError('streamCorrupt', `standard input: not the requests of a verify: ${why}`);
}

function lostReader(cause: Error): LvmsyncError {
  return new LvmsyncError(
    'transport',
    `the verify that started this process has ended (${cause.message})`,
    {
      cause,
    },
  );
}

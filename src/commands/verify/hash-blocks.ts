/** `lvmsync --hash-blocks DESTINATION`: answers a verify, on the host of the destination. */

import { isatty } from 'node:tty';
import { EXIT, LvmsyncError } from '../../base/errors.js';
import type { HashCommand } from '../../cli/command.js';
import { FileDevice } from '../../device/block-device.js';
import { selectEngine } from '../../device/select-engine.js';
import { isNativeError } from '../../host/native.js';
import { watchedHashes } from '../../pipeline/block-hashes.js';
import type { RunContext } from '../../run/context.js';
import { interrupted } from '../../run/interruption.js';
import { formatAnswer } from '../../stream/answer-lines.js';
import type { HashRequest } from '../../stream/hash-lines.js';
import { answerHashes, answerTo, readRequests, refuse, STDIN } from '../answer-hashes.js';

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
  const answer = answerTo(session);
  try {
    await answer({ kind: 'ready', size: destination.size });
    const { requests: answered } = await answerHashes(requests, destination, answer);
    await answer({ kind: 'done', requests: answered, writes: await destination.finish() });
  } finally {
    await destination.close();
  }
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

/** The receiver's part in a comparison that comes before the data of a stream, on the same connection. */

import { LvmsyncError } from '../base/errors.js';
import type { FileDevice } from '../device/block-device.js';
import { watchedHashes } from '../pipeline/block-hashes.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import { answerHashes, answerTo, readRequests, refuse } from './answer-hashes.js';

/**
 * To be called when the sender was told that the device is ready, and reads no further than the last request. Resolves
 * with the bytes that differ. Throws (destinationUnfit) if something else wrote to the device meanwhile.
 */
export async function answerComparison(
  session: string,
  device: FileDevice,
  { signal }: RunContext,
): Promise<number> {
  const reading = new AbortController();
  const stop = (): void => reading.abort();
  signal.addEventListener('abort', stop);
  try {
    const requests = readRequests(reading.signal);
    const hello = await requests.next();
    if (hello.done || hello.value.kind !== 'hello' || hello.value.session !== session) {
      throw refuse('its first line is missing');
    }
    // The device stays open: it is written next.
    const destination = await watchedHashes(device);
    const answer = answerTo(session);
    await answer({ kind: 'ready', size: device.size });
    const { requests: answered, bytes } = await answerHashes(requests, destination, answer);
    const writes = await destination.finish();
    if (writes === 'some') throw writtenMeanwhile(device.path);
    if (bytes === undefined) throw refuse('its end does not name the bytes to come');
    await answer({ kind: 'done', requests: answered, writes });
    return bytes;
  } catch (error) {
    if (signal.aborted) throw interrupted(signal);
    throw error;
  } finally {
    // Its reader may wait for a peer that waits for our end.
    stop();
    signal.removeEventListener('abort', stop);
  }
}

function writtenMeanwhile(path: string): LvmsyncError {
  return new LvmsyncError(
    'destinationUnfit',
    `${path}: something else wrote to it while it was compared`,
    {
      hint: 'Find what writes to the copy and stop it. Then run the cycle again with --compare, without "=lost".',
    },
  );
}

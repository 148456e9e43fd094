/** Writes text of any length to standard output, never faster than it is read. */

import type { ErrorContext } from '../../base/errors.js';
import { isNativeError, native } from '../../host/native.js';
import { cancelSoonAfter, interrupted } from '../../run/interruption.js';
import { newStreamId } from '../../stream/change-writer.js';
import { closeOutput, keepsOutput, openOutput, outputFailure } from '../raw-output.js';

/** Characters of one write: few enough that a long list never is in memory as text. */
const BATCH = 64 * 1024;
/** Bytes in UTF-8 of what is one in a string. */
const LONGEST_CHARACTER = 3;

const INCOMPLETE = { state: 'The list is incomplete.' } as const satisfies ErrorContext;
const CUT = { readerGone: 'destinationWrite', ...INCOMPLETE } as const;

/** Resolves when all of it was taken; what is kept in a file is flushed. Throws (destinationWrite). */
export async function writePieces(pieces: Iterable<string>, signal: AbortSignal): Promise<void> {
  const output = openOutput();
  const writer = new native.RecordWriter(output, newStreamId());
  const forget = cancelSoonAfter(signal, () => writer.cancel());
  try {
    const room = Buffer.allocUnsafe(2 * LONGEST_CHARACTER * BATCH);
    for (const text of batchesOf(pieces)) {
      if (signal.aborted) break;
      await writer.writeRaw(bytesOf(text, room));
    }
    if (signal.aborted) throw interrupted(signal, INCOMPLETE);
    if (keepsOutput()) await writer.syncData();
  } catch (error) {
    if (!isNativeError(error)) throw error;
    throw signal.aborted ? interrupted(signal, INCOMPLETE) : outputFailure(error, CUT);
  } finally {
    forget();
    closeOutput(output);
  }
}

/** In the room that there is for all writes, so that they leave nothing to collect. */
function bytesOf(text: string, room: Buffer): Uint8Array {
  if (text.length * LONGEST_CHARACTER > room.length) return Buffer.from(text);
  return room.subarray(0, room.write(text));
}

/** The same text in pieces of about `size` characters. */
export function* batchesOf(pieces: Iterable<string>, size = BATCH): Generator<string, void> {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < size) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}

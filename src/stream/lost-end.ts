/** A snapback whose run finished has an end mark: one without it has lost its end since. */

import { closeSync, fstatSync, openSync } from 'node:fs';
import { reasonOf } from '../base/errno.js';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { native } from '../host/native.js';
import { STREAM_TAG_SIZE } from './control-frame.js';

/** Bytes: END is the last frame of a file, and shorter. */
const TAIL = 64 * 1024;

/** Of an uncompressed file; whatever comes before the mark is not looked at. Throws (usage) where it cannot be opened. */
export async function hasEndMark(path: string, streamId: Uint8Array): Promise<boolean> {
  const fd = openAgain(path);
  try {
    const from = Math.max(0, fstatSync(fd).size - TAIL);
    const { endSeen } = await native.scanMarks(fd, from, streamId.subarray(0, STREAM_TAG_SIZE));
    return endSeen;
  } catch {
    // Reading it to its end says why.
    return false;
  } finally {
    closeSync(fd);
  }
}

function openAgain(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    const code = reasonOf(cause);
    throw new LvmsyncError('usage', `${path}: cannot open it again (${code})`, {
      ...UNTOUCHED,
      cause,
    });
  }
}

/** `tornTail`: as reading it found it. */
export function lostEnd({ message }: LvmsyncError): LvmsyncError {
  return new LvmsyncError('streamTruncated', `${message}, although its run had finished`);
}

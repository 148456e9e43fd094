/** A snapback whose run finished has an end mark: one without it has lost its end since. */

import { closeSync, fstatSync, openSync } from 'node:fs';
import { LvmsyncError } from '../base/errors.js';
import { native } from '../host/native.js';
import { STREAM_TAG_SIZE } from './control-frame.js';

/** Bytes: END is the last frame of a file, and shorter. */
const TAIL = 64 * 1024;

/** Of an uncompressed file; whatever comes before the mark is not looked at. */
export async function hasEndMark(path: string, streamId: Uint8Array): Promise<boolean> {
  const fd = openSync(path, 'r');
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

/** `tornTail`: as reading it found it. */
export function lostEnd({ message }: LvmsyncError): LvmsyncError {
  return new LvmsyncError('streamTruncated', `${message}, although its run had finished`);
}

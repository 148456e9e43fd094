/** Remembers which places of a device were named, within the memory that is kept for it. */

import { LvmsyncError } from '../base/errors.js';
import { isNativeError, type NativeExtentSet, type Operations } from '../host/native.js';

/**
 * Adds them; returns those parts of them that were not in the set before. Throws (streamCorrupt) for more
 * scattered places smaller than a page than any device or stream of ours has.
 */
export function addPlaces(set: NativeExtentSet, operations: Operations): Operations {
  try {
    return set.add(operations);
  } catch (error) {
    if (!isNativeError(error)) throw error;
    throw new LvmsyncError('streamCorrupt', `the changes cannot be applied: ${error.detail}`, {
      hint: 'lvmsync never sends a stream like this one.',
      cause: error,
    });
  }
}

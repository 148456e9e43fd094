/** How much a destination has to hold already for a stream to be applied to it. Pure. */

import type { Hello } from './control-frame.js';

/**
 * Bytes. A snapback belongs to the very file that its run found. What changed since a snapshot belongs to a
 * copy as large as the source was then; 0 where the sender does not tell, or sends everything.
 */
export function copySizeOf({ kind, deviceSize, attributes }: Hello): number {
  if (kind === 'snapback') return parseSize(attributes.formerSize) ?? deviceSize;
  return parseSize(attributes.copySize) ?? 0;
}

/** The value of an attribute, in bytes; undefined for one that is not there, or not a number. */
export function parseSize(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined;
}

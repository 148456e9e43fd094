/**
 * A few pages of the copy with their hashes, as a run left them. What puts the copy back to an older state
 * (a merge of a snapshot of it, a restored image) changes them, however it wrote, and across reboots.
 */

import { isObject } from '../base/json-object.js';
import { type FileDevice, newSlab } from '../device/block-device.js';
import { PAGE } from '../device/extent.js';
import { MOST_PLACES } from '../pipeline/place-sample.js';

export interface Spot {
  /** Bytes; of the page that begins there, as far as the device has it. */
  readonly offset: number;
  /** XXH3-128, in hexadecimal. */
  readonly hash: string;
}

const HASH_SIZE = 16;

/** The places, the first ones first, as many as are kept. Reads the device. */
export async function readSpots(device: FileDevice, places: readonly number[]): Promise<Spot[]> {
  const pages = places.map((offset) => offset - (offset % PAGE));
  const offsets = [...new Set(pages)].filter((at) => at < device.size).slice(0, MOST_PLACES);
  if (offsets.length === 0) return [];
  const operations = Float64Array.from(
    offsets.flatMap((at, index) => [at, Math.min(PAGE, device.size - at), index * PAGE]),
  );
  const hashes = await device.hashBatch(newSlab(MOST_PLACES * PAGE), operations);
  return offsets.map((offset, index) => {
    const hash = hashes.subarray(index * HASH_SIZE, (index + 1) * HASH_SIZE);
    return { offset, hash: Buffer.from(hash).toString('hex') };
  });
}

/** Alternates between those that a run wrote and those that the record named before. */
export function mixedPlaces(
  places: readonly number[],
  former: { readonly spots?: readonly Spot[] | undefined } | undefined,
): readonly number[] {
  const known = (former?.spots ?? []).map(({ offset }) => offset);
  const length = Math.max(places.length, known.length);
  return Array.from({ length }, (_, i) => [
    ...places.slice(i, i + 1),
    ...known.slice(i, i + 1),
  ]).flat();
}

/** Whether one of them holds something else now. */
export async function spotsDiffer(device: FileDevice, spots: readonly Spot[]): Promise<boolean> {
  if (spots.some(({ offset }) => offset >= device.size)) return true;
  const now = await readSpots(
    device,
    spots.map(({ offset }) => offset),
  );
  const hashes = new Map(now.map(({ offset, hash }) => [offset, hash]));
  return spots.some(({ offset, hash }) => hashes.get(offset) !== hash);
}

export function isSpot(value: unknown): value is Spot {
  if (!isObject(value)) return false;
  const { offset, hash } = value;
  return Number.isSafeInteger(offset) && typeof hash === 'string';
}

/**
 * A failed run or rollback leaves a note in the record of its chain, so that the next one notices if something
 * else wrote to the copy in between. Whoever is killed leaves nothing.
 */

import type { FileDevice } from '../device/block-device.js';
import { writeMark } from '../device/write-mark.js';
import { type Attempt, type ChainRecord, writeRecord } from './record.js';
import { mixedPlaces, readSpots } from './spot-check.js';

/** The attempt that the record describes; undefined where its last writer left none. */
export function attemptIn({
  doing,
  writer,
  attempt,
}: Pick<ChainRecord, 'doing' | 'writer' | 'attempt'>): Attempt | undefined {
  // Older programs keep a field that they do not know.
  return doing !== null && attempt?.run === writer?.run ? attempt : undefined;
}

/**
 * After the last write of a run that failed, while it still holds the lock of the copy. `places`: some of those
 * that it wrote. Resolves with the mark, for the registry. Throws nothing: the failure that ends the run is the one to be told,
 * and the next run warns.
 */
export async function noteAttempt(
  { directory, record }: { readonly directory: string; readonly record: ChainRecord },
  device: FileDevice,
  places: readonly number[],
): Promise<string | undefined> {
  const { writer, doing, left } = record;
  if (writer === undefined || doing === null) return undefined;
  let mark: string | undefined;
  try {
    await device.sync();
    const spots = await readSpots(device, mixedPlaces(places, left));
    mark = writeMark(device);
    writeRecord(directory, { ...record, attempt: { run: writer.run, mark, spots } });
  } catch {
    // Such as a device that is gone, or a full disk: the registry may lie on another one.
  }
  return mark;
}

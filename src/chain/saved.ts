/**
 * The data that attempts that were cut off saved already. They are undone after the attempt that follows them, so
 * that the oldest copy of each place is what remains: what stands in them need not be saved again.
 */

import { closeSync, fdatasyncSync } from 'node:fs';
import { reasonOf } from '../base/errno.js';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { type FileDevice, newSlab } from '../device/block-device.js';
import { bytesOf } from '../device/operations.js';
import { type NativeExtentSet, native } from '../host/native.js';
import { addPlaces } from '../pipeline/places.js';
import type { Saved } from '../pipeline/snapback-file.js';
import { ChangeReader } from '../stream/change-reader.js';
import { GROUP_SLAB_SIZE } from '../stream/change-stream.js';
import type { StreamPosition } from '../stream/control-frame.js';
import {
  type Counted,
  type CountedBy,
  CountedParts,
  countOn,
  type Mark,
} from '../stream/counted-link.js';
import { countedParts, type Link, openLink } from './link.js';
import type { ChainDestination } from './record.js';

export interface SavedQuestion {
  readonly destination: ChainDestination;
  readonly device: FileDevice;
  /** Of one of several streams: an attempt with as many has a link that saved the same places. */
  readonly place?: StreamPosition | undefined;
  readonly signal: AbortSignal;
  /** Called after each group: much may have to be read. */
  readonly onGroup?: (() => void) | undefined;
  /** Called for a link that is damaged: with it all that it saved is lost. */
  readonly onLost?: ((fault: LvmsyncError) => void) | undefined;
}

/**
 * Counts only what undoing these links, newest first, would write: intact groups of this destination, found
 * right by their hashes, and durable when this resolves. A link counts together with what it counts on
 * itself. Of the links of several streams only one is counted on. Undefined where there are no links. What the signal stops rejects with the addon's error.
 */
export async function readSaved(
  links: readonly Link[],
  question: SavedQuestion,
): Promise<Saved | undefined> {
  if (links.length === 0) return undefined;
  const extents = new native.ExtentSet();
  let bytes = 0;
  let counted: Counted | undefined;
  const usable = links.filter((one) => isOf(one, question));
  let next = newestFor(usable, question);
  let countedBy: readonly CountedBy[] = [];
  while (next !== undefined) {
    const link: Link = next;
    const part = await readPart(extents, link, { ...question, countedBy });
    if (part instanceof LvmsyncError) {
      question.onLost?.(part);
      // It undoes nothing. From the beginning, as the set cannot be made smaller.
      return readSaved(without(links, link), question);
    }
    bytes += part.bytes;
    counted ??= countOn(link.hello, part.mark);
    countedBy = countedParts([link]);
    const older = links.slice(links.indexOf(link) + 1);
    next = older.find(({ streamId }) => streamId === link.counted?.streamId);
  }
  return { extents, bytes, counted };
}

function without(links: readonly Link[], link: Link): readonly Link[] {
  return links.filter((one) => one !== link);
}

/** With another number of streams each has another stretch of the device; a single one has all of it. */
function newestFor(links: readonly Link[], { place }: SavedQuestion): Link | undefined {
  const [newest] = links;
  if (newest?.part === undefined || place === undefined) return newest;
  const isSame = ({ part }: Link): boolean =>
    part?.count === place.streamCount && part.index === place.streamIndex;
  return links.find(isSame) ?? newest;
}

/** Under --force the attempts of one turn may be of several destinations. */
function isOf({ hello }: Link, { destination, device }: SavedQuestion): boolean {
  const { deviceIdentity = null, devicePath } = hello.attributes;
  if (deviceIdentity !== destination.identity) return false;
  if (deviceIdentity === null && devicePath !== destination.path) return false;
  return !device.info.blockDevice || hello.deviceSize <= device.size;
}

interface Part {
  /** That were not in the set before. */
  readonly bytes: number;
  readonly mark: Mark;
}

/** Resolves with the fault of a link that is damaged, or lost what others count on. */
async function readPart(
  extents: NativeExtentSet,
  { path, hello }: Link,
  { signal, onGroup, countedBy }: SavedQuestion & { readonly countedBy: readonly CountedBy[] },
): Promise<Part | LvmsyncError> {
  const fd = openLink(path);
  const reader = new ChangeReader(fd, path);
  const stop = (): void => reader.cancel();
  signal.addEventListener('abort', stop);
  try {
    flush(fd, path);
    const form = await reader.readForm();
    reader.begin(form, { deviceSize: hello.deviceSize, strict: true, mayBeUnused: true });
    const parts = new CountedParts(hello, countedBy);
    let { mark } = reader;
    parts.see(mark);
    const slab = newSlab(GROUP_SLAB_SIZE);
    let bytes = 0;
    for (let group = await reader.next(slab); group; group = await reader.next(slab)) {
      bytes += bytesOf(addPlaces(extents, group.operations));
      ({ mark } = reader);
      parts.see(mark);
      onGroup?.();
    }
    return parts.fault(path, reader.end.tornTail) ?? { bytes, mark };
  } catch (error) {
    // Not what the content says, but a disk that cannot be relied on.
    if (!(error instanceof LvmsyncError) || error.code === 'snapback') throw error;
    return error;
  } finally {
    signal.removeEventListener('abort', stop);
    await reader.close();
    closeSync(fd);
  }
}

/** A run that was killed may have left groups that were written and not flushed. Throws (snapback). */
function flush(fd: number, path: string): void {
  try {
    fdatasyncSync(fd);
  } catch (cause) {
    const code = reasonOf(cause);
    const message = `${path}: cannot be flushed (${code})`;
    throw new LvmsyncError('snapback', message, { ...UNTOUCHED, cause });
  }
}

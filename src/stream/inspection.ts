/** The content of a file of changes, read to its end and checked, without a destination. */

import { closeSync, openSync, statSync } from 'node:fs';
import { reasonOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';
import { newSlab } from '../device/block-device.js';
import { forEachExtent, forEachOperation } from '../device/operations.js';
import { ChangeReader } from './change-reader.js';
import {
  GROUP_SLAB_SIZE,
  type Group,
  type ReadingRules,
  type StreamForm,
} from './change-stream.js';
import type { Hello } from './control-frame.js';
import { type CountedBy, CountedParts } from './counted-link.js';
import { DeviceMap } from './device-map.js';

/** Bytes, where nothing else is said. */
export interface Inspection {
  readonly path: string;
  readonly fileSize: number;
  readonly compressed: boolean;
  /** As the original writes it, or with frames; undefined where it is neither. */
  readonly form: 'classic' | 'framed' | undefined;
  /** Undefined for a classic stream, which says nothing of itself. */
  readonly hello: Hello | undefined;
  readonly records: number;
  readonly bytes: number;
  /** Bytes of ranges that are to read as zeros. */
  readonly discardedBytes: number;
  /** Runs of bytes without a gap, in the order of the file. */
  readonly stretches: number;
  readonly largestStretch: number;
  readonly firstByte: number | undefined;
  readonly lastByte: number | undefined;
  readonly map: DeviceMap;
  /** The source was written while it was read. */
  readonly sourceChanged: boolean;
  /** For a snapback whose run was cut off: where it ends. Its use is not harmed. */
  readonly tornTail: LvmsyncError | undefined;
  /** Why it cannot be applied, or not to its end. */
  readonly fault: LvmsyncError | undefined;
}

export interface InspectOptions extends Pick<ReadingRules, 'mayBeUnused'> {
  /** Sees each group that was found right. */
  readonly onGroup?: (group: Group) => void;
  /** The parts that others may count on in it: it is at fault if any of that is not there. */
  readonly countedBy?: readonly CountedBy[];
}

/** Throws (usage) where the file cannot be opened; what is wrong inside is in the result. */
export async function inspectFile(
  path: string,
  signal: AbortSignal,
  { onGroup, countedBy = [], ...rules }: InspectOptions = {},
): Promise<Inspection> {
  const fd = openFile(path);
  const reader = new ChangeReader(fd, path);
  const stop = (): void => reader.cancel();
  signal.addEventListener('abort', stop);
  const found = new Findings();
  let form: StreamForm | undefined;
  let fault: LvmsyncError | undefined;
  try {
    form = await reader.readForm();
    reader.begin(form, { deviceSize: Number.MAX_SAFE_INTEGER, strict: true, ...rules });
    const parts = form.form === 'framed' ? new CountedParts(form.hello, countedBy) : undefined;
    parts?.see(reader.mark);
    const slab = newSlab(GROUP_SLAB_SIZE);
    for (let group = await reader.next(slab); group; group = await reader.next(slab)) {
      found.add(group);
      onGroup?.(group);
      parts?.see(reader.mark);
    }
    fault = parts?.fault(path, reader.end.tornTail);
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    fault = error;
  } finally {
    signal.removeEventListener('abort', stop);
    await reader.close();
    closeSync(fd);
  }
  const hello = form?.form === 'framed' ? form.hello : undefined;
  const end = fault === undefined ? reader.end : undefined;
  return {
    path,
    fileSize: statSync(path).size,
    compressed: reader.compressed,
    form: form?.form,
    hello,
    ...found.summary(hello?.deviceSize),
    records: reader.counts.records,
    sourceChanged: end?.sourceChanged ?? false,
    tornTail: end?.tornTail,
    fault,
  };
}

function openFile(path: string): number {
  let isDirectory: boolean;
  try {
    const stat = statSync(path);
    if (stat.isFile()) return openSync(path, 'r');
    isDirectory = stat.isDirectory();
  } catch (cause) {
    const code = reasonOf(cause);
    throw new LvmsyncError('usage', `${path}: cannot be opened (${code})`, {
      ...(code === 'ENOENT' && { hint: 'Check its name.' }),
      cause,
    });
  }
  if (!isDirectory) throw new LvmsyncError('usage', `${path}: not a regular file`);
  throw new LvmsyncError('usage', `${path}: a directory, not a change stream or snapback`, {
    hint: 'Name a file in it. "lvmsync chain" shows a directory of restore points.',
  });
}

/** Adds up groups. */
class Findings {
  readonly #map = new DeviceMap();
  #bytes = 0;
  #discardedBytes = 0;
  #stretches = 0;
  #largest = 0;
  #current = 0;
  #first = Number.POSITIVE_INFINITY;
  #end = 0;
  #previousEnd = -1;

  add({ operations, discards }: Group): void {
    forEachOperation(operations, (offset, length) => this.#addStretch(offset, length));
    forEachExtent(discards, (_, length) => {
      this.#discardedBytes += length;
    });
  }

  #addStretch(offset: number, length: number): void {
    const follows = offset === this.#previousEnd;
    if (!follows) this.#stretches++;
    this.#current = follows ? this.#current + length : length;
    this.#largest = Math.max(this.#largest, this.#current);
    this.#previousEnd = offset + length;
    this.#first = Math.min(this.#first, offset);
    this.#end = Math.max(this.#end, offset + length);
    this.#bytes += length;
    this.#map.add(offset, length);
  }

  summary(deviceSize: number | undefined) {
    const any = this.#bytes > 0;
    // Also what lies behind the last change is part of the picture.
    if (deviceSize !== undefined) this.#map.stretchTo(deviceSize);
    return {
      bytes: this.#bytes,
      discardedBytes: this.#discardedBytes,
      stretches: this.#stretches,
      largestStretch: this.#largest,
      firstByte: any ? this.#first : undefined,
      lastByte: any ? this.#end - 1 : undefined,
      map: this.#map,
    };
  }
}

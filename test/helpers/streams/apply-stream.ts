/** Applies a change stream to memory, through the same modules as `lvmsync --apply`. */

import { closeSync, openSync } from 'node:fs';
import { SlabPool } from '../../../src/device/block-device.js';
import { apply } from '../../../src/pipeline/apply.js';
import { WriteStage } from '../../../src/pipeline/write-stage.js';
import { ChangeReader } from '../../../src/stream/change-reader.js';
import {
  GROUP_SLAB_SIZE,
  type ReaderEnd,
  type StreamForm,
} from '../../../src/stream/change-stream.js';
import type { MemoryDevice } from '../devices/memory-device.js';

/** Shared by all runs of a test file: a slab that is not given back would stop the next ones. */
const pool = new SlabPool(9, GROUP_SLAB_SIZE);

export interface Applied {
  readonly form: StreamForm | undefined;
  readonly destination: MemoryDevice;
  /** Undefined where the stream did not come to its proper end. */
  readonly end: ReaderEnd | undefined;
  readonly error: unknown;
}

export interface ApplyOptions {
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
}

/** Never throws: what went wrong is in `error`. */
export async function applyToMemory(
  path: string,
  destination: MemoryDevice,
  { strict = true, signal = new AbortController().signal }: ApplyOptions = {},
): Promise<Applied> {
  const fd = openSync(path, 'r');
  const reader = new ChangeReader(fd, path);
  let form: StreamForm | undefined;
  try {
    form = await reader.readForm();
    reader.begin(form, { deviceSize: destination.size, strict });
    const stage = new WriteStage(destination, undefined, pool);
    const disjoint = form.form === 'framed' || (strict && !form.leftover);
    const destinationSize = destination.size;
    const onProgress = () => undefined;
    await apply({ reader, stage, pool, destinationSize, disjoint, signal, onProgress });
    return { form, destination, end: reader.end, error: undefined };
  } catch (error) {
    return { form, destination, end: undefined, error };
  } finally {
    await reader.close();
    closeSync(fd);
  }
}

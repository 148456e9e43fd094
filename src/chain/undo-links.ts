/** Writes several snapbacks to a device, one after the other, saving what they overwrite. */

import { closeSync } from 'node:fs';
import { type FileDevice, SlabPool } from '../device/block-device.js';
import { findWriteRules } from '../lvm/write-rules.js';
import { APPLY_DEPTH, apply } from '../pipeline/apply.js';
import type { Snapback } from '../pipeline/snapback.js';
import { WriteStage } from '../pipeline/write-stage.js';
import { describeFailure, interrupted } from '../run/interruption.js';
import { ChangeReader } from '../stream/change-reader.js';
import { GROUP_SLAB_SIZE } from '../stream/change-stream.js';
import { parseSize } from '../stream/copy-size.js';
import { lostEnd } from '../stream/lost-end.js';
import { type Link, openLink } from './link.js';

export interface UndoLinks {
  /** In the order in which they are written. */
  readonly links: readonly Link[];
  /** Those of them whose runs finished. */
  readonly isComplete: (link: Link) => boolean;
  readonly device: FileDevice;
  /** Takes what is overwritten: all of the links together as one run. Stays the caller's. */
  readonly snapback: Snapback | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
}

/**
 * Resolves with some of the places that were written when all is durable and the device has the size it had before the
 * oldest of the runs. Repeating it, after it was cut off, leads to the same.
 */
export async function undoLinks(job: UndoLinks): Promise<readonly number[]> {
  const { links, device, snapback } = job;
  const pool = new SlabPool(2 * APPLY_DEPTH + 1, GROUP_SLAB_SIZE);
  const stage = new WriteStage(device, snapback, pool, await findWriteRules(device));
  try {
    await growFor(links, device);
    for (const link of links) await undoLink(link, { job, stage, pool });
    await stage.finish();
    device.requireInPlace();
    await restoreSize(links, device);
    return stage.places;
  } catch (error) {
    throw describeFailure(error, {
      state: stage.begun
        ? `${device.path} is between two restore points: the rollback is not finished.`
        : 'Nothing was written.',
      hint: 'Run the same command again to finish it.',
    });
  }
}

interface Writing {
  readonly job: UndoLinks;
  readonly stage: WriteStage;
  readonly pool: SlabPool;
}

async function undoLink(link: Link, { job, stage, pool }: Writing): Promise<void> {
  const { path } = link;
  const { device, signal } = job;
  const fd = openLink(path);
  const reader = new ChangeReader(fd, path);
  try {
    const form = await reader.readForm();
    // Whether that can be was seen when the links were checked.
    reader.begin(form, { deviceSize: device.size, strict: true, mayBeUnused: true });
    const writing = { reader, stage, pool, destinationSize: device.size };
    await apply({ ...writing, disjoint: true, signal, onProgress: job.onProgress });
    if (signal.aborted) {
      await device.sync();
      throw interrupted(signal);
    }
    // It was whole when the links were checked.
    const { tornTail } = reader.end;
    if (tornTail !== undefined && job.isComplete(link)) throw lostEnd(tornTail);
  } finally {
    await reader.close();
    closeSync(fd);
  }
}

/** Bytes that a device has to have for all of them. */
export function sizeNeeded(links: readonly Link[], device: FileDevice): number {
  if (device.info.blockDevice) return device.size;
  return Math.max(device.size, ...links.map(({ hello }) => hello.deviceSize));
}

/** Only a rollback that was cut off, and has made the file shorter already, finds it too short. */
async function growFor(links: readonly Link[], device: FileDevice): Promise<void> {
  const size = sizeNeeded(links, device);
  if (size > device.size) await device.resize(size);
}

/** A file that the runs made longer. */
async function restoreSize(links: readonly Link[], device: FileDevice): Promise<void> {
  const oldest = links.at(-1)?.hello;
  if (oldest === undefined || device.info.blockDevice) return;
  const size = parseSize(oldest.attributes.formerSize) ?? oldest.deviceSize;
  if (size >= device.size) return;
  await device.resize(size);
  await device.sync();
}

/** Streams to be damaged: what they hold, what a destination may hold after a part of one, and cuts. */

import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { LvmsyncError } from '../../../src/base/errors.js';
import { MemoryDevice } from '../devices/memory-device.js';
import { someOf } from '../faults/campaign.js';
import type { Random } from '../random.js';
import type { StreamRecord } from './stream-parts.js';

export const DAMAGE_DEVICE_SIZE = 64 * 1024;
const CHUNK = 512;

export interface GroupShape {
  readonly groups: number;
  readonly recordsPerGroup: number;
  /** Bytes of a record: a chunk, unless said otherwise. */
  readonly length?: number;
  readonly sorted?: boolean;
}

/** Groups of disjoint records, each at the start of a chunk. */
export function randomGroups(random: Random, shape: GroupShape): StreamRecord[][] {
  const { groups, recordsPerGroup, length = CHUNK, sorted = false } = shape;
  const chunks = random.distinct(groups * recordsPerGroup, DAMAGE_DEVICE_SIZE / CHUNK);
  if (sorted) chunks.sort((a, b) => a - b);
  return Array.from({ length: groups }, (_, group) =>
    chunks
      .slice(group * recordsPerGroup, (group + 1) * recordsPerGroup)
      .map((chunk) => ({ offset: chunk * CHUNK, data: random.bytes(length) })),
  );
}

/** A destination that a stream is applied to again and again. */
export class DamagedDestination {
  readonly before: Buffer;
  /** After the first 0, 1, 2, ... groups. */
  readonly states: readonly Buffer[];

  constructor(before: Buffer, groups: readonly (readonly StreamRecord[])[]) {
    this.before = before;
    const states = [before];
    for (const group of groups) {
      const state = Buffer.from(states.at(-1) ?? before);
      for (const { offset, data } of group) data.copy(state, offset);
      states.push(state);
    }
    this.states = states;
  }

  open(): MemoryDevice {
    return new MemoryDevice(Buffer.from(this.before));
  }

  /** How many whole groups reached it, -1 if also a part of one did. */
  groupsIn({ content }: MemoryDevice): number {
    return this.states.findIndex((state) => state.equals(content));
  }

  holdsAll({ content }: MemoryDevice): boolean {
    return this.states.at(-1)?.equals(content) === true;
  }
}

/** Throws what it is given, unless the program itself reports it. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof LvmsyncError) return error.exitStatus;
  throw error;
}

/** So many shorter lengths of a file for a commit, drawn at random, and every one for a release; the longest first. */
export function cutsOf(length: number, random: Random): readonly number[] {
  const cuts = Array.from({ length }, (_, index) => length - 1 - index);
  return someOf(cuts, 6000, random);
}

/** Of the bits of a stream, as cutsOf. */
export function bitsOf({ length }: Buffer, random: Random): readonly number[] {
  const bits = Array.from({ length: length * 8 }, (_, bit) => bit);
  return someOf(bits, 10_000, random);
}

/** Calls `check` with each of these lengths of the file, which it leaves short. */
export async function forEachCut(
  path: string,
  cuts: readonly number[],
  check: (cut: number) => Promise<void>,
): Promise<void> {
  const fd = openSync(path, 'r+');
  try {
    for (const cut of cuts) {
      ftruncateSync(fd, cut);
      await check(cut);
    }
  } finally {
    closeSync(fd);
  }
}

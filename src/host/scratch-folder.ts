/** A folder for a small file that lives for a moment, wherever there is room for one. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reasonOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';
import { CommandError } from './subprocess.js';

/** Memory first: that is there where the others are full, read-only or missing. */
const PLACES = ['/run', tmpdir(), '/tmp', '/var/tmp', '/dev/shm'];

/**
 * Resolves with what the work does in a new folder of ours, which is removed at its end. Where the place has
 * no room, or cannot be written, the work is done anew in the next. Throws (usage) where there is none.
 */
export async function withScratchFolder<T>(
  work: (folder: string) => Promise<T>,
  places: readonly string[] = PLACES,
): Promise<T> {
  const faults: string[] = [];
  for (const place of new Set(places)) {
    try {
      return await workIn(place, work);
    } catch (error) {
      if (!isOfPlace(error)) throw error;
      faults.push(`${place}: ${error instanceof CommandError ? error.message : reasonOf(error)}`);
    }
  }
  throw new LvmsyncError(
    'usage',
    `no usable directory for a temporary file (${faults.join('; ')})`,
    {
      hint: 'Make room in one of them, or set TMPDIR to another directory.',
    },
  );
}

async function workIn<T>(place: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(place, 'lvmsync-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A tool says it in the words of the C library. */
const OF_PLACE = /No space left on device|Read-only file system|Disk quota exceeded/;
const OF_PLACE_CODES: readonly unknown[] = [
  'ENOSPC',
  'EROFS',
  'EDQUOT',
  'ENOENT',
  'EACCES',
  'EPERM',
  'ENOTDIR',
];

function isOfPlace(error: unknown): boolean {
  if (error instanceof CommandError) return OF_PLACE.test(error.stderr);
  return OF_PLACE_CODES.includes(reasonOf(error));
}

/** Folders for the files of a test, removed when its file is done. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

/**
 * `disk`: on the file system of the project, where O_DIRECT usually works. `memory`: on tmpfs, where
 * older kernels refuse it.
 */
export function scratchFolder(place: 'disk' | 'memory' = 'disk'): string {
  const parent = place === 'memory' ? '/dev/shm' : fileURLToPath(new URL('..', import.meta.url));
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, 'scratch-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

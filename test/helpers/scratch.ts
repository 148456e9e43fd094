/** Folders for the files of a test, removed when its file is done. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Set inside the guest: a tmpfs that ends with it. */
const GUEST_FOLDER = process.env.LVMSYNC_TEST_GUEST;

/**
 * `disk`: on the file system of the project, where O_DIRECT usually works. `memory`: on tmpfs, where
 * older kernels refuse it. Inside the guest both are in its own tmpfs, and stay: loop devices and
 * replaced tools that outlast a test lie in them.
 */
export function scratchFolder(place: 'disk' | 'memory' = 'disk'): string {
  if (GUEST_FOLDER !== undefined) return mkdtempSync(join(GUEST_FOLDER, 'scratch-'));
  const parent = place === 'memory' ? '/dev/shm' : fileURLToPath(new URL('..', import.meta.url));
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, 'scratch-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

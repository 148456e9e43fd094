/** Takes the place of addon.ts in an executable that holds Node, the program and its addons. */

import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getAsset } from 'node:sea';
import { LvmsyncError } from '../base/errors.js';

/** The command that starts this program once more, without the words. */
export const OWN_PROGRAM: readonly [string, ...string[]] = [process.execPath];

/** See addon.ts, also for what follows. */
export function hasLz4(): boolean {
  return true;
}

export function hasSsh2(): boolean {
  return true;
}

export function readLicenses(): string {
  return getAsset('licenses.txt', 'utf8');
}

export function loadAddon(): unknown {
  return loadEmbedded('lvmsync.node');
}

/**
 * The exports of an addon that the executable holds. The system loads files only, so for that moment
 * there is one, in a folder of its own that nobody else may enter; temporary folders may be mounted such
 * that nothing in them can be run, so there are several to try. Throws (usage) if none of them serves.
 */
export function loadEmbedded(name: string): unknown {
  const content = new Uint8Array(getAsset(name));
  const refusals: string[] = [];
  for (const place of new Set([tmpdir(), '/run', '/var/tmp', '/dev/shm'])) {
    try {
      return loadThrough(place, name, content);
    } catch (error) {
      refusals.push(`${place}: ${error instanceof Error ? error.message : error}`);
    }
  }
  throw new LvmsyncError('usage', `the native addon cannot be loaded (${refusals.join('; ')})`, {
    hint: 'Set TMPDIR to a directory that is writable and not mounted noexec.',
  });
}

function loadThrough(place: string, name: string, content: Uint8Array): unknown {
  const folder = mkdtempSync(join(place, 'lvmsync-'));
  try {
    const path = join(folder, name);
    writeNew(path, content);
    const loaded = { exports: {} };
    process.dlopen(loaded, path);
    return loaded.exports;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function writeNew(path: string, content: Uint8Array): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    for (let written = 0; written < content.length; ) written += writeSync(fd, content, written);
  } finally {
    closeSync(fd);
  }
}

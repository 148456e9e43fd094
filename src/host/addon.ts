/**
 * Where the program's own parts are. They are found from this file, whether it is a module in dist/src
 * or was put into dist/lvmsync.cjs with all others; of a self-contained executable
 * addon-embedded.ts takes its place.
 */

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reasonOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';

const here = fileURLToPath(import.meta.url);
const isModule = basename(dirname(dirname(here))) === 'src';
const packageFolder = join(dirname(here), isModule ? '../../..' : '..');
const program = isModule ? join(dirname(here), '../main.js') : here;

/** An addon that was built here goes before one that came with the package. */
const ADDONS = ['build/Release', `prebuilds/${process.platform}-${process.arch}`].map((folder) =>
  join(packageFolder, folder, 'lvmsync.node'),
);

/** The command that starts this program once more, without the words. */
export const OWN_PROGRAM: readonly [string, ...string[]] = [process.execPath, program];

/** Whether the package that compresses was installed too; it is loaded by who needs it. */
export function hasLz4(): boolean {
  return hasPackage('lz4-napi');
}

/** The same of the package that is a client of ssh. */
export function hasSsh2(): boolean {
  return hasPackage('ssh2');
}

function hasPackage(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Of this program and its parts. Throws (usage) where the file that came with it is gone. */
export function readLicenses(): string {
  const path = join(packageFolder, 'dist/licenses.txt');
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new LvmsyncError('usage', `${path}: cannot be read (${reasonOf(cause)})`, { cause });
  }
}

/** The addon's exports. Throws (usage) where there is none for this machine, or it cannot be loaded. */
export function loadAddon(): unknown {
  const path = ADDONS.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    const machine = `${process.platform}-${process.arch}`;
    throw new LvmsyncError('usage', `the native addon for ${machine} is missing`, {
      hint: `In a checkout of the sources, scripts/setup builds one; otherwise install the package for ${machine}.`,
    });
  }
  try {
    return createRequire(import.meta.url)(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new LvmsyncError('usage', `the native addon cannot be loaded: ${reason}`, { cause });
  }
}

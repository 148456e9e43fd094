/** Packages as scripts/package makes them, and the means to look into them. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { assertSucceeds, runTool } from '../program/cli.js';

export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** What is linked into the addon, as the file of the licenses calls it. */
export const LINKED = ['Apache License', 'xxHash', 'liburing', 'node-addon-api'];

/** Makes it and returns its path. Two of them are not made at once: the script sees to that. */
export function makePackage(kind: 'npm' | 'deb' | 'single'): string {
  const result = runTool([`${ROOT}scripts/package`, kind]);
  assertSucceeds(result);
  const path = result.stdout.toString().trim();
  assert.match(path, /^packages\/\S+$/);
  return ROOT + path;
}

/** What is generated from the table of options, as the packages hold it, in `folder`. */
export function writeShare(folder: string, env = process.env): void {
  const program = fileURLToPath(new URL('../../../packaging/write-share.js', import.meta.url));
  assertSucceeds(runTool([process.execPath, program, folder], { env }));
}

/** For `skip`: false, or which of the programs is missing here. */
export function missingTool(...tools: string[]): string | false {
  const missing = tools.find((tool) => spawnSync(tool, ['--version']).error !== undefined);
  return missing === undefined ? false : `there is no ${missing} here`;
}

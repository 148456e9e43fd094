/** The registry of copies, as a test may look into it and change it. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { registryDirectory } from '../../../src/chain/copy-registry.js';

/** Files. Tests that run beside this one have entries there, too, and entries and drafts of them come and go. */
export function entriesOf(destination: string): string[] {
  return readdirSync(registryDirectory())
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(registryDirectory(), name))
    .filter((path) => readIfThere(path).includes(`${destination}"`));
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** As the last run on it leaves it where it is killed before its last word. */
export function forgetEnd(destination: string): void {
  for (const path of entriesOf(destination)) {
    const { done, left, ...entry } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify(entry));
  }
}

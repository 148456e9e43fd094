#!/usr/bin/env node
/** Where the program begins. What asks only for the version does not wait for the rest to be loaded. */

import { POOL_WATCHER, THAW_WATCHER } from './hidden-words.js';
import { VERSION_LINE } from './version.js';
import { writeOutput } from './write-whole.js';

async function start(words: readonly string[]): Promise<void> {
  const [first, ...rest] = words;
  if (first === POOL_WATCHER) await (await import('./pool-watcher.js')).watchPool(rest);
  else if (first === THAW_WATCHER) await (await import('./thaw-watcher.js')).watchFrozen(rest);
  else if (first !== '--version' || rest.length > 0 || !tellVersion())
    await (await import('./program.js')).runProgram(words);
}

/** False where it cannot be written: the program says why. */
function tellVersion(): boolean {
  try {
    writeOutput(VERSION_LINE);
    return true;
  } catch {
    return false;
  }
}

// Not awaited: the one file that is made of all modules is CommonJS, which starts faster.
void start(process.argv.slice(2));

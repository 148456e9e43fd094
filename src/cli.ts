#!/usr/bin/env node
/** Where the program begins. What asks only for the version does not wait for the rest to be loaded. */

import { POOL_WATCHER } from './hidden-words.js';
import { VERSION_LINE } from './version.js';
import { STDOUT, writeWhole } from './write-whole.js';

async function start(words: readonly string[]): Promise<void> {
  const [first] = words;
  if (first === POOL_WATCHER) await (await import('./pool-watcher.js')).watchPool(words.slice(1));
  else if (first === '--version' && words.length === 1) writeWhole(STDOUT, VERSION_LINE);
  else await (await import('./program.js')).runProgram(words);
}

// Not awaited: the one file that is made of all modules is CommonJS, which starts faster.
void start(process.argv.slice(2));

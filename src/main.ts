#!/usr/bin/env node

/** Where the program begins. A request for the version alone does not wait for the rest to be loaded. */

import { VERSION_LINE } from './base/version.js';
import { POOL_WATCHER, THAW_WATCHER } from './host/helper-names.js';
import { writeOutput } from './host/write-fully.js';

async function start(args: readonly string[]): Promise<void> {
  const [first, ...rest] = args;
  if (first === POOL_WATCHER) await (await import('./lvm/thin/watcher.js')).watchPool(rest);
  else if (first === THAW_WATCHER)
    await (await import('./cycle/thaw-watcher.js')).watchFrozen(rest);
  else if (first !== '--version' || rest.length > 0 || !tellVersion())
    await (await import('./program.js')).runProgram(args);
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

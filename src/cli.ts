#!/usr/bin/env node
/** Where the program begins. What asks only for the version does not wait for the rest to be loaded. */

import { VERSION_LINE } from './version.js';
import { STDOUT, writeWhole } from './write-whole.js';

const words = process.argv.slice(2);
if (words.length === 1 && words[0] === '--version') writeWhole(STDOUT, VERSION_LINE);
else await (await import('./program.js')).runProgram(words);

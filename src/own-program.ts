/** How this program starts itself as another process. */

import { fileURLToPath } from 'node:url';
import type { Argv } from './command.js';

/** What stands before its arguments. */
export const OWN_PROGRAM: Argv = [
  process.execPath,
  fileURLToPath(new URL('./cli.js', import.meta.url)),
];

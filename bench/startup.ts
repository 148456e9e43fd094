/** How long `lvmsync --version` takes beside a Node that does nothing. */

import { ours } from './local-jobs.js';
import type { Job } from './rounds.js';

export const STARTUP: Job = {
  name: 'lvmsync --version',
  bytes: 0,
  contestants: [
    { name: 'node -e 0', role: 'limit', words: [process.execPath, '-e', '0'] },
    { name: 'lvmsync', role: 'ours', words: ours('--version') },
  ],
};

/**
 * A process of its own: waits for the end of its input. Ended by "dismissed", it has nothing to do;
 * without it, the run that started it was killed, and the metadata snap is released for it.
 * Arguments: VG/POOL, the pool's device-mapper name, the path of the record.
 */

import { rmSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { DISMISSED, runCommand } from './command.js';
import { release } from './metadata-snap.js';

// What ends the run (Ctrl-C, a closed terminal) must not end who cleans up after it.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);

const [, , name = '', dmName = '', recordPath = ''] = process.argv;
process.stdout.write('ready\n');
const words = await text(process.stdin);
if (words.trim() !== DISMISSED) {
  await release({ name, dmName }, runCommand);
  rmSync(recordPath, { force: true });
}

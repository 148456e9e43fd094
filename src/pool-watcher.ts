/**
 * A process of its own: waits for the end of its input. Ended by "dismissed", it has nothing to do;
 * without it, the run that started it was killed, and the metadata snap is released for it.
 * Arguments: VG/POOL, the pool's device-mapper name, its major:minor, the path of the record.
 */

import { text } from 'node:stream/consumers';
import { DISMISSED } from './command.js';
import { HeldRecordFile } from './held-record.js';
import { releaseForDeadRun } from './metadata-snap.js';

// What ends the run (Ctrl-C, a closed terminal) must not end who cleans up after it.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);

const [, , name = '', dmName = '', number = '', recordPath = ''] = process.argv;
process.stdout.write('ready\n');
const words = await text(process.stdin);
if (words.trim() !== DISMISSED) {
  await releaseForDeadRun({ name, dmName, number }, new HeldRecordFile(recordPath));
}

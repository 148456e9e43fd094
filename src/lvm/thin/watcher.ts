/** The process that outlives a run, should that be killed while it holds a metadata snap. */

import { text } from 'node:stream/consumers';
import { DISMISSED } from '../../host/subprocess.js';
import { HeldRecordFile } from './held-record.js';
import { releaseForDeadRun } from './metadata-snap.js';

/**
 * Waits for the end of its input. Ended by "dismissed", it has nothing to do; without it, the run that
 * started it was killed, and the metadata snap is released for it. The arguments are VG/POOL, the pool's
 * device-mapper name and uuid, its major:minor, and the path of the record.
 */
export async function watchPool(args: readonly string[]): Promise<void> {
  // A signal that ends the run (Ctrl-C, a closed terminal) must not end the process that cleans up after it.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);

  const [name = '', dmName = '', dmUuid = '', number = '', recordPath = ''] = args;
  process.stdout.write('ready\n');
  const said = await text(process.stdin);
  if (said.trim() !== DISMISSED) {
    await releaseForDeadRun({ name, dmName, dmUuid, number }, new HeldRecordFile(recordPath));
  }
}

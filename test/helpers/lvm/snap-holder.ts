/**
 * A process that holds the metadata snap of a fake pool until it is killed: `snap-holder RECORDS LOCKS`.
 * Over its IPC channel it says the root that it holds.
 */

import { withMetadataSnap } from '../../../src/lvm/thin/metadata-snap.js';
import { Reporter } from '../../../src/run/reporter.js';
import { FakePool, POOL } from './fake-pool.js';

const [recordDirectory = '', lockDirectory = ''] = process.argv.slice(2);
const pool = new FakePool();
const context = {
  reporter: new Reporter({ verbosity: 'quiet', write: () => undefined, isTTY: false }),
  signal: new AbortController().signal,
  commandLine: 'lvmsync held a',
  run: pool.run,
  recordDirectory,
  lockDirectory,
  startWatcher: async () => ({ dismiss: async () => undefined }),
};

await withMetadataSnap(POOL, context, async () => {
  process.send?.(pool.heldRoot);
  // The channel keeps the process alive.
  await new Promise(() => process.on('message', () => undefined));
});

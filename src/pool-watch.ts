/** Starts the process that outlives this one, should it be killed while a metadata snap is held. */

import { fileURLToPath } from 'node:url';
import { startCompanion } from './command.js';
import { LvmsyncError } from './errors.js';
import type { ThinPool } from './thin-pool.js';

export interface PoolWatcher {
  /** The metadata snap is released: there is nothing to watch any more. */
  dismiss(): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL('./pool-watcher.js', import.meta.url));
const READY = 'ready';

export type StartPoolWatcher = (pool: ThinPool, recordPath: string) => Promise<PoolWatcher>;

/**
 * Resolves when the watcher runs. It holds the other end of a pipe: when that closes without a word,
 * it frees the metadata snap of the pool and removes the record.
 */
export async function startPoolWatcher(pool: ThinPool, recordPath: string): Promise<PoolWatcher> {
  const { name, dmName, number } = pool;
  const companion = startCompanion([process.execPath, PROGRAM, name, dmName, number, recordPath]);
  const word = await companion.firstLine;
  if (word !== READY) {
    throw new LvmsyncError(
      'pool',
      `${pool.name}: the watcher process could not be started (${word})`,
    );
  }
  return { dismiss: () => companion.dismiss() };
}

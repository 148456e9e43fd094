/** Starts the process that outlives this one, should it be killed while a metadata snap is held. */

import { LvmsyncError } from '../../base/errors.js';
import { OWN_PROGRAM } from '../../host/addon.js';
import { POOL_WATCHER } from '../../host/helper-names.js';
import { startCompanion } from '../../host/subprocess.js';
import type { ThinPool } from '../thin-pool.js';

export interface PoolWatcher {
  /** The metadata snap is released: there is nothing to watch any more. */
  dismiss(): Promise<void>;
}

const READY = 'ready';

export type StartPoolWatcher = (pool: ThinPool, recordPath: string) => Promise<PoolWatcher>;

/**
 * Resolves when the watcher runs. It holds the other end of a pipe: when that closes without a word,
 * it frees the metadata snap of the pool and removes the record.
 */
export async function startPoolWatcher(pool: ThinPool, recordPath: string): Promise<PoolWatcher> {
  const { name, dmName, dmUuid, number } = pool;
  const args = [POOL_WATCHER, name, dmName, dmUuid, number, recordPath];
  const companion = startCompanion([...OWN_PROGRAM, ...args]);
  const word = await companion.firstLine;
  if (word !== READY) {
    throw new LvmsyncError(
      'pool',
      `${pool.name}: the process that watches the metadata snap could not be started (${word})`,
    );
  }
  return { dismiss: () => companion.dismiss() };
}

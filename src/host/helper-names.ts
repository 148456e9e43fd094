/** First words of a command line that make this program something that no person runs. */

/** Be the process that outlives a run: see lvm/thin/watcher.ts. */
export const POOL_WATCHER = '--pool-watcher';

/** Likewise: see cycle/thaw-watcher.ts. */
export const THAW_WATCHER = '--thaw-watcher';

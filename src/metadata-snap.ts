/**
 * Holds the metadata snap of a thin pool for as long as a piece of work needs it, and leaves nothing
 * behind: not after an exception, a signal, a SIGKILL (a watcher process releases it then) or a power
 * cut (the next run finds the record and releases it).
 */

import type { RunCommand } from './command.js';
import { runCommand } from './command.js';
import { LvmsyncError } from './errors.js';
import { HeldRecordFile, isLeftover } from './held-record.js';
import { startPoolWatcher } from './pool-watch.js';
import type { Reporter } from './reporter.js';
import { acquireRunLock, type RunLock } from './run-lock.js';
import {
  type MessageTarget,
  readPoolStatus,
  releaseCommand,
  requireUsable,
  sendPoolMessage,
  type ThinPool,
} from './thin-pool.js';

export interface SnapContext {
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  /** The command line, for a run that waits for this one. */
  readonly command: string;
  readonly run?: RunCommand;
  /** Where records are kept; default /var/lib/lvmsync. */
  readonly recordDirectory?: string;
}

/** Another run on the same pool holds it for seconds: it is waited for. Milliseconds. */
const LOCK_PAUSE_MS = 500;

/**
 * Runs `work` with a metadata snap held. Throws (pool) if none can be had, or if it could not be
 * released; a failure of the work itself comes first.
 */
export async function withMetadataSnap<T>(
  pool: ThinPool,
  context: SnapContext,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await lockPool(pool, context);
  try {
    const record = new HeldRecordFile(pool.uuid, context.recordDirectory);
    await prepare(pool, record, context);
    const watcher = await startPoolWatcher(pool, record.path);
    try {
      return await hold(pool, record, context, work);
    } finally {
      await watcher.dismiss();
    }
  } finally {
    lock.release();
  }
}

async function lockPool(pool: ThinPool, context: SnapContext): Promise<RunLock> {
  const request = { path: `thin pool ${pool.name}`, command: context.command };
  for (let waited = false; ; waited = true) {
    try {
      return await acquireRunLock({ kind: 'block', device: pool.number }, request);
    } catch (error) {
      if (!(error instanceof LvmsyncError) || error.code !== 'locked') throw error;
      context.signal.throwIfAborted();
      if (!waited) context.reporter.info(`${error.message}: waiting for it`);
      await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE_MS));
    }
  }
}

/** After this the pool is usable and holds no metadata snap. */
async function prepare(
  pool: ThinPool,
  record: HeldRecordFile,
  { reporter, run = runCommand }: SnapContext,
): Promise<void> {
  const status = await readPoolStatus(pool, run);
  requireUsable(pool, status);
  const { heldRoot } = status;
  if (heldRoot === undefined) return;
  if (!isLeftover(record.read(), heldRoot)) throw foreign(pool, heldRoot);
  reporter.info(
    `${pool.name}: a run that died left its metadata snap held (root ${heldRoot}): released`,
  );
  await release(pool, run);
  record.remove();
}

async function hold<T>(
  pool: ThinPool,
  record: HeldRecordFile,
  context: SnapContext,
  work: () => Promise<T>,
): Promise<T> {
  const { reporter, run = runCommand } = context;
  record.write(undefined);
  let failure: unknown;
  let result: { readonly value: T } | undefined;
  try {
    await sendPoolMessage(pool, 'reserve_metadata_snap', run);
    const { heldRoot } = await readPoolStatus(pool, run);
    if (heldRoot === undefined) {
      throw new LvmsyncError('pool', `${pool.name}: it reserved no metadata snap`);
    }
    record.write(heldRoot);
    reporter.verbose(`${pool.name}: reserved its metadata snap (root ${heldRoot})`);
    result = { value: await work() };
  } catch (error) {
    failure = error;
  }
  await releaseAfter(pool, record, { reporter, run, failure });
  if (result === undefined) throw failure;
  return result.value;
}

/** A failure to release is told, but must not hide why the work failed. */
async function releaseAfter(
  pool: ThinPool,
  record: HeldRecordFile,
  after: { readonly reporter: Reporter; readonly run: RunCommand; readonly failure: unknown },
): Promise<void> {
  try {
    if (await release(pool, after.run)) after.reporter.verbose(`${pool.name}: released it`);
    record.remove();
  } catch (error) {
    if (after.failure === undefined || !(error instanceof LvmsyncError)) throw error;
    after.reporter.error(error.message);
  }
}

/** False: none was held. Throws (pool) if it is still held afterwards: the message alone proves nothing. */
export async function release(pool: MessageTarget, run: RunCommand): Promise<boolean> {
  if ((await readPoolStatus(pool, run)).heldRoot === undefined) return false;
  let cause: unknown;
  try {
    await sendPoolMessage(pool, 'release_metadata_snap', run);
  } catch (error) {
    cause = error;
  }
  const { heldRoot } = await readPoolStatus(pool, run);
  if (heldRoot === undefined) return true;
  throw new LvmsyncError('pool', `${pool.name}: its metadata snap stays held (root ${heldRoot})`, {
    hint: `Until it is released, space that is freed in the pool is not returned: ${releaseCommand(pool)} (a read-only pool must be repaired first).`,
    cause,
  });
}

function foreign(pool: ThinPool, heldRoot: number): LvmsyncError {
  return new LvmsyncError(
    'pool',
    `${pool.name}: its metadata snap is held already (root ${heldRoot}), and not by a run of lvmsync that died`,
    {
      state: 'It was left as it is.',
      hint: `If no other program needs it: ${releaseCommand(pool)}`,
    },
  );
}

/**
 * Holds the metadata snap of a thin pool for as long as a piece of work needs it, and leaves nothing
 * behind: not after an exception, a signal, a SIGKILL (a watcher process releases it then) or a power
 * cut (the next run finds the record and releases it).
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { LvmsyncError } from '../../base/errors.js';
import { acquireRunLock, type RunLock } from '../../host/run-lock.js';
import type { RunCommand } from '../../host/subprocess.js';
import { CommandError } from '../../host/subprocess.js';
import type { Reporter } from '../../run/reporter.js';
import type { ThinPoolStatus } from '../dmsetup-status.js';
import { askHost } from '../host-tools.js';
import {
  type MessageTarget,
  readPoolStatus,
  releaseCommand,
  requireUsable,
  sendPoolMessage,
  type ThinPool,
} from '../thin-pool.js';
import {
  type HeldRecordFile,
  isLeftover,
  openHeldRecord,
  wasAboutToReserve,
} from './held-record.js';
import { type StartPoolWatcher, startPoolWatcher } from './start-watcher.js';

export interface SnapContext {
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  /** The command line, for a run that waits for this one. */
  readonly commandLine: string;
  readonly run?: RunCommand;
  /** Where records are kept; default /var/lib/lvmsync. */
  readonly recordDirectory?: string;
  /** Where locks are kept; default that of all runs. */
  readonly lockDirectory?: string;
  /** How long another run is waited for; default ten minutes. */
  readonly lockLimitMs?: number;
  readonly startWatcher?: StartPoolWatcher;
}

/** Another run on the same pool holds it for seconds: it is waited for. Milliseconds. */
const LOCK_PAUSE_MS = 200;
/** A run that has it for longer reads a very large pool, or hangs. Milliseconds. */
const LOCK_LIMIT_MS = 10 * 60 * 1000;
/** Longer than a tool that was started needs to send its message. Milliseconds. */
const LATE_MESSAGE_MS = 1000;

/**
 * Runs `work` with a metadata snap held. Throws (pool) if none can be had, or if it could not be
 * released; a failure of the work itself comes first.
 */
export async function withMetadataSnap<T>(
  pool: ThinPool,
  context: SnapContext,
  work: () => Promise<T>,
): Promise<T> {
  const { startWatcher = startPoolWatcher } = context;
  const lock = await lockPool(pool, context);
  try {
    const record = openHeldRecord(pool.uuid, context.recordDirectory);
    const transactionId = await prepare(pool, record, context);
    const watcher = await startWatcher(pool, record.path);
    try {
      record.write({ transactionId });
      return await hold(pool, record, context, work);
    } finally {
      await watcher.dismiss();
    }
  } finally {
    lock.release();
  }
}

/** The message of a run that was killed may be on its way still: then it is waited for. */
async function readSettledStatus(
  pool: MessageTarget,
  run: RunCommand,
  mayComeLate: boolean,
): Promise<ThinPoolStatus> {
  const deadline = performance.now() + (mayComeLate ? LATE_MESSAGE_MS : 0);
  for (;;) {
    const status = await readPoolStatus(pool, run);
    if (status.heldRoot !== undefined || performance.now() >= deadline) return status;
    await sleep(LOCK_PAUSE_MS);
  }
}

type LockedPool = MessageTarget & Pick<ThinPool, 'number'>;

interface LockContext extends Pick<SnapContext, 'commandLine' | 'lockDirectory' | 'lockLimitMs'> {
  /** Called with who has the lock, each time that it is found taken; what it throws ends the wait. */
  readonly onTaken: (who: LvmsyncError) => void;
}

async function lockPool(pool: LockedPool, context: SnapContext): Promise<RunLock> {
  let waited = false;
  const onTaken = ({ message }: LvmsyncError): void => {
    context.signal.throwIfAborted();
    if (!waited) context.reporter.info(`${message}: waiting`);
    waited = true;
  };
  return waitForLock(pool, { ...context, onTaken });
}

async function waitForLock(pool: LockedPool, context: LockContext): Promise<RunLock> {
  const { commandLine: command, lockDirectory: directory, lockLimitMs = LOCK_LIMIT_MS } = context;
  const deadline = performance.now() + lockLimitMs;
  const request = {
    path: `thin pool ${pool.name}`,
    command,
    ...(directory === undefined ? {} : { directory }),
  };
  for (;;) {
    try {
      return await acquireRunLock(`block-${pool.number}`, request);
    } catch (error) {
      if (!(error instanceof LvmsyncError) || error.code !== 'locked') throw error;
      context.onTaken(error);
      if (performance.now() > deadline) throw waitedTooLong(error, lockLimitMs);
      await sleep(LOCK_PAUSE_MS);
    }
  }
}

function waitedTooLong(cause: LvmsyncError, limitMs: number): LvmsyncError {
  const message = `${cause.message}; gave up after ${Math.round(limitMs / 1000)} seconds`;
  const { hint } = cause;
  const state = 'Nothing was reserved in the pool.';
  return new LvmsyncError('locked', message, {
    ...(hint === undefined ? {} : { hint }),
    state,
    cause,
  });
}

/**
 * The work that is left when a run was killed: releases what its record says that it holds, or was about
 * to reserve. Under the lock of the pool, so that what a later run holds by now is never released.
 */
export async function releaseForDeadRun(
  pool: LockedPool,
  record: HeldRecordFile,
  { run = askHost, lockDirectory }: Pick<SnapContext, 'run' | 'lockDirectory'> = {},
): Promise<void> {
  const lock = await waitForLock(pool, {
    commandLine: `releases the metadata snap of ${pool.name} for a crashed run`,
    ...(lockDirectory === undefined ? {} : { lockDirectory }),
    onTaken: () => undefined,
  });
  try {
    const left = record.read();
    if (left?.hasEnded !== true) return;
    const { heldRoot } = await readSettledStatus(pool, run, left.heldRoot === undefined);
    const isItsOwn = left.heldRoot === undefined || left.heldRoot === heldRoot;
    if (heldRoot !== undefined && isItsOwn) await release(pool, run);
    record.remove();
  } finally {
    lock.release();
  }
}

/** After this the pool is usable and holds no metadata snap. Returns the transaction it is in. */
async function prepare(
  pool: ThinPool,
  record: HeldRecordFile,
  { reporter, run = askHost }: SnapContext,
): Promise<number> {
  const left = record.read();
  const status = await readSettledStatus(pool, run, wasAboutToReserve(left));
  requireUsable(pool, status);
  const { heldRoot, transactionId } = status;
  if (heldRoot === undefined) return transactionId;
  if (!isLeftover(left, { heldRoot, transactionId })) throw foreign(pool, heldRoot);
  await release(pool, run);
  reporter.info(
    `${pool.name}: released the metadata snap that a crashed run left (root ${heldRoot})`,
  );
  record.remove();
  return transactionId;
}

async function hold<T>(
  pool: ThinPool,
  record: HeldRecordFile,
  context: SnapContext,
  work: () => Promise<T>,
): Promise<T> {
  const { reporter, run = askHost } = context;
  await reserve(pool, record, run);
  let failure: unknown;
  let result: { readonly value: T } | undefined;
  try {
    const { heldRoot } = await readPoolStatus(pool, run);
    if (heldRoot === undefined) {
      throw new LvmsyncError('pool', `${pool.name}: the kernel reserved no metadata snap`);
    }
    record.write({ heldRoot });
    reporter.verbose(`${pool.name}: reserved its metadata snap (root ${heldRoot})`);
    result = { value: await work() };
  } catch (error) {
    failure = error;
  }
  await releaseAfter(pool, record, { reporter, run, failure });
  if (result === undefined) throw failure;
  return result.value;
}

/** Throws with nothing reserved, or nothing that is ours. */
async function reserve(pool: ThinPool, record: HeldRecordFile, run: RunCommand): Promise<void> {
  try {
    await sendPoolMessage(pool, 'reserve_metadata_snap', run);
  } catch (error) {
    // Refused by the kernel: what is held now is somebody else's. Else the message may have arrived.
    const isRefusal = error instanceof CommandError && error.status !== undefined;
    if (!isRefusal) await release(pool, run);
    record.remove();
    throw error;
  }
}

/** A failure to release is reported, but must not hide why the work failed. */
async function releaseAfter(
  pool: ThinPool,
  record: HeldRecordFile,
  after: { readonly reporter: Reporter; readonly run: RunCommand; readonly failure: unknown },
): Promise<void> {
  try {
    if (await release(pool, after.run))
      after.reporter.verbose(`${pool.name}: released its metadata snap`);
    record.remove();
  } catch (error) {
    if (after.failure === undefined || !(error instanceof LvmsyncError)) throw error;
    after.reporter.error(error.message);
  }
}

/** False: none was held. Throws (pool) if it is still held afterwards: the message alone proves nothing. */
async function release(pool: MessageTarget, run: RunCommand): Promise<boolean> {
  if ((await readPoolStatus(pool, run)).heldRoot === undefined) return false;
  let cause: unknown;
  try {
    await sendPoolMessage(pool, 'release_metadata_snap', run);
  } catch (error) {
    cause = error;
  }
  const { heldRoot } = await readPoolStatus(pool, run);
  if (heldRoot === undefined) return true;
  throw new LvmsyncError(
    'pool',
    `${pool.name}: its metadata snap could not be released (root ${heldRoot})`,
    {
      hint: `Until it is released, the pool cannot reuse freed space: ${releaseCommand(pool)} (repair a read-only pool first).`,
      cause,
    },
  );
}

function foreign(pool: ThinPool, heldRoot: number): LvmsyncError {
  return new LvmsyncError(
    'pool',
    `${pool.name}: its metadata snap is already held (root ${heldRoot}), and there is no record that a crashed lvmsync left it`,
    {
      state: 'It was left unchanged.',
      hint: `If no other program needs it: ${releaseCommand(pool)}`,
    },
  );
}

/**
 * Commands of the user around the making of a snapshot, for databases and virtual machines: one has
 * them come to rest, the other lets them go on. File systems on the volume need neither, lvcreate
 * freezes them by itself.
 */

import {
  type Argv,
  type Companion,
  type RunCommand,
  runCommand,
  startCompanion,
} from './command.js';
import { LvmsyncError, withContext } from './errors.js';
import { THAW_WATCHER } from './hidden-words.js';
import { OWN_PROGRAM } from './installation.js';

export interface FreezeHooks {
  readonly freeze: Argv | undefined;
  readonly thaw: Argv | undefined;
}

export interface HookEffects {
  readonly run: RunCommand;
  /** Starts who thaws, should this process be killed. */
  readonly startWatcher: (thaw: Argv) => Promise<Pick<Companion, 'dismiss'>>;
}

const REAL: HookEffects = { run: runCommand, startWatcher: startThawWatcher };

/** A signal to the program's terminal must not reach a command that others wait for. */
const OF_USER = { userProgram: true, shielded: true } as const;

/**
 * Whatever happens, what was frozen is thawed: after a failure of the freeze or of the work as well,
 * and by another process if this one is killed. The thaw may come twice. Throws what the work threw,
 * else what a hook did.
 */
export async function whileFrozen<T>(
  { freeze, thaw }: FreezeHooks,
  work: () => Promise<T>,
  { run, startWatcher }: HookEffects = REAL,
): Promise<T> {
  const watcher = thaw && (await startWatcher(thaw));
  let frozenWork: PromiseSettledResult<T>;
  try {
    [frozenWork] = await Promise.allSettled([freezeAnd(freeze, work, run)]);
    if (thaw !== undefined) await run(thaw, OF_USER);
  } catch (error) {
    throw error instanceof LvmsyncError ? withContext(error, { state: STILL_FROZEN }) : error;
  } finally {
    await watcher?.dismiss();
  }
  if (frozenWork.status === 'rejected') throw frozenWork.reason;
  return frozenWork.value;
}

const STILL_FROZEN = 'What --freeze-cmd froze may be frozen still.';

async function freezeAnd<T>(
  freeze: Argv | undefined,
  work: () => Promise<T>,
  run: RunCommand,
): Promise<T> {
  if (freeze !== undefined) await run(freeze, OF_USER);
  return work();
}

const READY = 'ready';

async function startThawWatcher(thaw: Argv): Promise<Companion> {
  const companion = startCompanion([...OWN_PROGRAM, THAW_WATCHER, ...thaw], {
    userProgram: true,
  });
  const word = await companion.firstLine;
  if (word === READY) return companion;
  throw new LvmsyncError('usage', `the process that is to thaw could not be started (${word})`);
}

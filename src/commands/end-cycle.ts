/** `lvmsync cycle --end`: removes the snapshots of a cycle. Its copy and its restore points stay. */

import { EXIT, InterruptedError, LvmsyncError, withContext } from '../base/errors.js';
import type { CycleCommand } from '../cli/command.js';
import { askChain } from '../cycle/ask-chain.js';
import { checkCycleFree, lockCycle, tagOf } from '../cycle/cycle-lock.js';
import { findOtherCycles, requireEnded } from '../cycle/other-cycles.js';
import type { ChainState } from '../cycle/plan.js';
import { removeSnapshot } from '../cycle/snapshots.js';
import {
  type CycleOrigin,
  type CycleSnapshot,
  describeSnapshot,
  findOrigin,
  listSnapshots,
} from '../cycle/volumes.js';
import { withLvmPriority } from '../host/priority.js';
import { finishMerge } from '../lvm/origin-merge.js';
import { fullName, unfit } from '../lvm/unfit-volume.js';
import { placeName } from '../remote/destination-name.js';
import { undoTurnCommand } from '../remote/undo-hints.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import { formatRows, type Row } from './dry-run-report.js';

/** It does not ask the host of the copy, which may be gone, unless it finds nothing but another cycle. */
export async function endCycle(command: CycleCommand, context: RunContext): Promise<number> {
  const origin = await findOrigin(command.origin);
  const tag = tagOf(command);
  const lock = command.dryRun ? checkCycleFree(origin, tag) : await lockCycle(origin, tag, context);
  try {
    const snapshots = await findOwn(origin, tag);
    if (snapshots.length === 0) {
      await requireNoOther(origin, tag, command, context);
      context.reporter.info(
        `Nothing is left of the cycle of ${nameOf(origin, command)}: ${fullName(origin)} has no snapshot of it. ${whatStays(command)}`,
      );
      return EXIT.done;
    }
    const unfinished = unfinishedWarning(snapshots, command);
    if (unfinished !== undefined) context.reporter.warn(unfinished);
    if (command.dryRun) {
      context.print(report(snapshots, origin, command));
      return EXIT.done;
    }
    await removeAll(snapshots, { origin, tag }, context);
    context.reporter.info(
      `The cycle of ${nameOf(origin, command)} has ended. ${whatStays(command)}`,
    );
    return EXIT.done;
  } finally {
    lock.release();
  }
}

const UNTOUCHED = { state: 'Nothing was removed.' };

/** The newest first: as long as the base is there, the cycle can go on. Throws (sourceUnfit) during a merge. */
async function findOwn(origin: CycleOrigin, tag: string): Promise<readonly CycleSnapshot[]> {
  const found = await listSnapshots(origin, tag).catch((error: unknown) => {
    throw error instanceof LvmsyncError ? withContext(error, UNTOUCHED) : error;
  });
  const merging = found.find(({ state }) => state === 'merging');
  if (merging === undefined) return [...found].reverse();
  const hint = `${finishMerge(origin)} Then run the same command again.`;
  const fault = unfit(merging, 'it is being merged into its origin, or will be', hint);
  throw withContext(fault, UNTOUCHED);
}

/** Seconds: of a host that is gone for ever. */
const PATIENCE = 20;

/** Throws (sourceUnfit) where another cycle may have been meant. */
async function requireNoOther(
  origin: CycleOrigin,
  tag: string,
  command: CycleCommand,
  context: RunContext,
): Promise<void> {
  const others = await findOtherCycles(origin, tag);
  const { timeoutSeconds = PATIENCE } = command.remote;
  const ask = async (): Promise<ChainState | undefined> => {
    const remote = { ...command.remote, timeoutSeconds };
    try {
      return await askChain({ ...command, remote, force: true }, origin, context);
    } catch (error) {
      if (error instanceof InterruptedError || !(error instanceof LvmsyncError)) throw error;
      context.reporter.warn(
        `${placeName(command.destination)}: lvmsync could not ask it whether the cycle has ended: ${error.message}`,
      );
      return undefined;
    }
  };
  const needsAnswer = others.elsewhere === undefined && others.ofOrigin.length > 0;
  requireEnded(others, origin, command, needsAnswer ? await ask() : undefined);
}

export async function removeAll(
  snapshots: readonly CycleSnapshot[],
  { origin, tag }: { readonly origin: CycleOrigin; readonly tag: string },
  { reporter, signal }: RunContext,
): Promise<void> {
  for (const [at, snapshot] of snapshots.entries()) {
    const state = stateAfter(snapshots, at);
    if (signal.aborted) throw interrupted(signal, { state, hint: AGAIN });
    try {
      await withLvmPriority(() => removeSnapshot(snapshot, tag));
    } catch (error) {
      if (!(error instanceof LvmsyncError)) throw error;
      const what = `it could not be removed: ${error.message}`;
      const hint = `Close or unmount it if something uses it. ${AGAIN}`;
      throw withContext(unfit(snapshot, what, hint), { state });
    }
    reporter.info(`Removed ${describeSnapshot(snapshot)}.`);
  }
  const [left] = await listSnapshots(origin, tag);
  if (left !== undefined) throw unfit(left, 'lvremove did not remove it', AGAIN);
}

const AGAIN = 'The same command goes on from there.';

function stateAfter(snapshots: readonly CycleSnapshot[], count: number): string {
  const left = `Still there: ${snapshots.slice(count).map(fullName).join(', ')}.`;
  const removed = snapshots.slice(0, count).map(fullName).join(', ');
  return removed === '' ? `${UNTOUCHED.state} ${left}` : `Removed: ${removed}. ${left}`;
}

/** Two snapshots that are whole: a run was interrupted, and nothing can go on with it once they are gone. */
function unfinishedWarning(
  snapshots: readonly CycleSnapshot[],
  { destination: { host, path }, chain: { directory } }: CycleCommand,
): string | undefined {
  if (snapshots.filter(({ state }) => state === 'whole').length < 2) return undefined;
  const place = placeName({ path, ...(host !== undefined && { host }) });
  const where = host === undefined ? 'here' : `on ${host}`;
  return `the last cycle run was interrupted, so ${place} may hold part of it; unless the copy was used since, undo that part, ${where}: ${undoTurnCommand({ directory, path, host })}`;
}

function nameOf(origin: CycleOrigin, { destination }: CycleCommand): string {
  return `${fullName(origin)} to ${placeName(destination)}`;
}

function whatStays({ destination: { host }, chain: { directory } }: CycleCommand): string {
  return `The copy and its restore points in ${directory} stay${host === undefined ? '' : ` on ${host}`}.`;
}

function report(
  snapshots: readonly CycleSnapshot[],
  origin: CycleOrigin,
  command: CycleCommand,
): string {
  const rows = snapshots.map((one): Row => ['remove', describeSnapshot(one)]);
  const stays: Row = ['stays', whatStays(command)];
  return formatRows(`Dry run: the end of the cycle of ${nameOf(origin, command)}`, [
    ...rows,
    stays,
  ]);
}

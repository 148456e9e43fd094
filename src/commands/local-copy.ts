/** A copy on this machine: planned, checked, made. */

import type { ErrorContext } from '../base/errors.js';
import { RateLimit } from '../base/rate-limit.js';
import { CopyOwner } from '../chain/copy-owner.js';
import type { SyncCommand } from '../cli/command.js';
import { openDestination, openForDryRun, planSize } from '../destination/open-destination.js';
import { limitsAt } from '../device/batch-limits.js';
import { type FileDevice, SlabPool } from '../device/block-device.js';
import { BATCH_LIMITS, ExtentList, NO_EXTENTS, slabSizeFor } from '../device/extent.js';
import { difference } from '../device/extent-sets.js';
import type { Writes } from '../device/write-watch.js';
import { findWriteRules, type WriteRules } from '../lvm/write-rules.js';
import { LOCAL_DEPTH, localSync } from '../pipeline/local-sync.js';
import { Snapback, type SnapbackOptions } from '../pipeline/snapback.js';
import { checkSnapback } from '../pipeline/snapback-file.js';
import { SMALLEST_BLOCK, WriteStage } from '../pipeline/write-stage.js';
import { undoCommand } from '../remote/undo-hints.js';
import type { RunContext } from '../run/context.js';
import { describeFailure, interrupted } from '../run/interruption.js';
import type { Reporter } from '../run/reporter.js';
import { requireWhole } from '../source/overflow.js';
import { reportWrites } from '../source/quiet-check.js';
import type { Source } from '../source/source.js';
import { snapbackFacts } from '../stream/device-facts.js';
import { describeLeft } from './outcome.js';

/** Throws what a run to a destination of this machine would throw before it writes. */
export async function checkLocal(
  source: Source,
  command: SyncCommand,
  { reporter, signal, commandLine }: RunContext,
): Promise<CopyPlan> {
  const { destination, force } = command;
  const { headKinds } = source;
  const { size } = source.device;
  const path = destination.path;
  const request = { path, members: source.members, force, command: commandLine, size, headKinds };
  const { device, close } = await openForDryRun(request, reporter);
  try {
    const plan = planCopy(device, source, command, reporter);
    const rules = await findWriteRules(device);
    const options = await snapbackOptions(command, signal, { device, source, rules, plan });
    (await CopyOwner.find(device, { reporter, commandLine })).warnOfChain();
    if (options !== undefined) checkSnapback(options);
    return plan;
  } finally {
    await close();
  }
}

/** Resolves when everything is written durably. */
export async function copyHere(
  source: Source,
  command: SyncCommand,
  context: RunContext,
): Promise<void> {
  const { reporter } = context;
  const { path } = command.destination;
  const { members } = source;
  const { headKinds } = source;
  const { size } = source.device;
  const { force } = command;
  const request = { path, members, force, command: context.commandLine, size, headKinds };
  const destination = await openDestination(request, reporter);
  try {
    const writes = await copyTo(destination.device, source, { command, context });
    const rules = { requireQuiet: command.requireQuiet, reporter };
    try {
      reportWrites(source.watch, writes, rules);
    } catch (error) {
      throw describeFailure(error, mixtureLeft(path, command.snapback?.path));
    }
  } finally {
    await destination.close();
  }
}

/** A run that has written everything, from a source that did not keep still. */
function mixtureLeft(destination: string, snapback: string | undefined): ErrorContext {
  const again = 'Then run the same command again';
  return {
    state: `${destination} was written completely, but may be inconsistent.`,
    hint:
      snapback === undefined
        ? `${again}.`
        : `${again} with another snapback name, or undo this run with: ${undoCommand({ snapback, path: destination, host: undefined })}.`,
  };
}

/** Resolves with what became of the source while it was read, when all is written durably. */
async function copyTo(
  device: FileDevice,
  source: Source,
  { command, context }: { readonly command: SyncCommand; readonly context: RunContext },
): Promise<Writes> {
  const { reporter, signal } = context;
  const plan = planCopy(device, source, command, reporter);
  const { size, extents, zeros, totalBytes } = plan;
  const rules = await findWriteRules(device);
  const owner = await CopyOwner.find(device, context);
  owner.warnOfChain();
  const options = await snapbackOptions(command, signal, { device, source, rules, plan });
  const snapback = options && (await Snapback.create(options));
  const pool = new SlabPool(2 * LOCAL_DEPTH, slabSizeFor(BATCH_LIMITS));
  const announce = (): void => owner.announceOther({ undo: snapback?.streamId ?? null });
  const stage = new WriteStage(device, snapback, pool, { ...rules, announce });
  const onProgress = (doneBytes: number): void =>
    reporter.progress({ activity: 'Sending', doneBytes, totalBytes });
  const started = performance.now();
  let writes: Writes;
  try {
    if (size > device.size) {
      announce();
      // It knows the former size.
      snapback?.keep();
      await device.resize(size);
    }
    const pace = RateLimit.pace(command.bytesPerSecond, signal);
    const limits = limitsAt(BATCH_LIMITS, command.bytesPerSecond);
    const copy = { source: source.device, extents, zeros, pace, limits };
    await localSync({ ...copy, stage, pool, signal, onProgress });
    writes = source.watch.writes();
    if (signal.aborted) {
      await device.sync();
      throw interrupted(signal);
    }
    await requireWhole(source);
    await stage.finish();
    device.requireInPlace();
    owner.settle();
  } catch (error) {
    await owner.interrupt();
    const left = { stage, destination: device.path, totalBytes, snapback: snapback?.path };
    throw describeLeft(error, left);
  } finally {
    snapback?.close();
  }
  const seconds = (performance.now() - started) / 1000;
  reporter.transferred({ bytes: stage.writtenBytes, seconds, sourceSize: source.device.size });
  return writes;
}

export interface CopyPlan {
  /** Bytes that the destination has to have. */
  readonly size: number;
  /** The extents that are read and written. */
  readonly extents: ExtentList;
  /** The extents that are made to read as zeros. */
  readonly zeros: ExtentList;
  /** The sum of both. */
  readonly totalBytes: number;
}

function planCopy(
  device: FileDevice,
  source: Source,
  { allowSmaller, discard }: SyncCommand,
  reporter: Reporter,
): CopyPlan {
  const needed = { sourceSize: source.device.size, copySize: source.copySize };
  const size = planSize(device, needed, { allowSmaller, reporter });
  const all = source.extents.clippedTo(size);
  const zeros = discard ? source.zeros.clippedTo(size) : NO_EXTENTS;
  return { size, extents: difference(all, zeros), zeros, totalBytes: all.totalBytes };
}

async function snapbackOptions(
  { snapback, force }: SyncCommand,
  signal: AbortSignal,
  run: {
    readonly device: FileDevice;
    readonly source: Source;
    readonly rules: WriteRules;
    readonly plan: CopyPlan;
  },
): Promise<SnapbackOptions | undefined> {
  if (snapback === undefined) return undefined;
  const { device, source, rules, plan } = run;
  const inUse = [{ identity: device.identity, role: 'the destination' }, ...source.members];
  const facts = await snapbackFacts(device, plan.size, source.headKinds);
  const roomFor = force ? undefined : await mostSaved(device, rules, plan);
  return { ...snapback, facts, sorted: false, inUse, roomFor, signal };
}

/** Bytes. Ranges that read as zeros are not saved for the sake of zeros; on a plain device they have to be found. */
async function mostSaved(
  device: FileDevice,
  { mostData }: WriteRules,
  { extents, zeros }: CopyPlan,
): Promise<number> {
  const known = extents.totalBytes + Math.min(zeros.totalBytes, mostData);
  if (zeros.count === 0 || Number.isFinite(mostData)) return known;
  const data = new ExtentList(await device.findData(zeros.pairs, SMALLEST_BLOCK));
  return extents.totalBytes + data.totalBytes;
}

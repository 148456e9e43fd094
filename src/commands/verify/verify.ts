/** `lvmsync verify SOURCE DESTINATION`: whether both hold the same, and where they do not. */

import { EXIT, LvmsyncError, UNTOUCHED, withContext } from '../../base/errors.js';
import { RateLimit } from '../../base/rate-limit.js';
import { exactSize } from '../../base/text.js';
import type { SyncCommand, VerifyCommand } from '../../cli/command.js';
import { tooShort } from '../../destination/open-destination.js';
import { FileDevice } from '../../device/block-device.js';
import { type ExtentList, NO_EXTENTS } from '../../device/extent.js';
import { within } from '../../device/extent-sets.js';
import { forEachExtent } from '../../device/operations.js';
import { selectEngine } from '../../device/select-engine.js';
import { identityKey } from '../../device/topology.js';
import { type Writes, WriteWatch } from '../../device/write-watch.js';
import { DeviceHashes } from '../../pipeline/block-hashes.js';
import { type Comparer, compare, Differences } from '../../pipeline/compare.js';
import { ByteComparer } from '../../pipeline/compare-bytes.js';
import { HashComparer } from '../../pipeline/compare-hashes.js';
import type { RunContext } from '../../run/context.js';
import { interrupted } from '../../run/interruption.js';
import { openSource } from '../../source/open-source.js';
import { requireWhole } from '../../source/overflow.js';
import { checkWatch, reportLateFault, unwatched } from '../../source/quiet-check.js';
import type { SourceRequest } from '../../source/request.js';
import type { Source } from '../../source/source.js';
import { guardStores } from '../../source/store-guard.js';
import { describeAsJson, describeAsText, type Findings } from './report.js';

interface Verification {
  readonly source: Source;
  readonly command: VerifyCommand;
  readonly context: RunContext;
}

/** The status shows whether they are equal, after a repair whether they are so now. */
export async function runVerify(command: VerifyCommand, context: RunContext): Promise<number> {
  selectEngine(context);
  const source = await open(command, context);
  try {
    const { reporter } = context;
    checkWatch(source.watch, { requireQuiet: command.requireQuiet, reporter });
    const job = { source, command, context };
    const guard = { source, maxPercent: undefined, context };
    const left = await guardStores(guard, () => verify(job));
    await reportLateFault(source, reporter);
    return left.bytes === 0 ? EXIT.done : EXIT.different;
  } finally {
    await source.close();
  }
}

async function verify(job: Verification): Promise<Differences> {
  const compared = await compareOnce(job, job.source.extents);
  tell(job, compared);
  const { found } = compared;
  return job.command.repair && found.bytes > 0 ? repair(job, found) : found;
}

interface Compared {
  readonly found: Differences;
  readonly comparedBytes: number;
}

async function open(command: VerifyCommand, context: RunContext): Promise<Source> {
  const { source, full } = command;
  if (full) return (await import('../../source/whole-source.js')).openWhole(source, context);
  try {
    return await openSource(source, context);
  } catch (error) {
    throw await mentionFull(error, source);
  }
}

async function mentionFull(error: unknown, source: SourceRequest): Promise<unknown> {
  if (!(error instanceof LvmsyncError) || source.kind !== 'snapshot') return error;
  const { isOutsideLvm } = await import('../../source/whole-source.js');
  if (!(await isOutsideLvm(source.snapshot))) return error;
  return withContext(error, { hint: 'Or use --full: it compares any two devices or files whole.' });
}

async function compareOnce(job: Verification, extents: ExtentList): Promise<Compared> {
  const { source, command, context } = job;
  const { signal, reporter } = context;
  const destination = await openDestination(job);
  const found = new Differences();
  try {
    const { size } = destination;
    if (size < source.copySize && !command.allowSmaller) {
      throw tooShort({ path: nameOf(command), size }, { copySize: source.copySize });
    }
    const shared = extents.clippedTo(size);
    const pace = RateLimit.pace(command.bytesPerSecond, signal);
    await compare(
      {
        comparer: destination.comparer,
        extents: shared,
        ...{ bytesPerSecond: command.bytesPerSecond, pace, signal },
        onProgress: (doneBytes) =>
          reporter.progress({ activity: 'Comparing', doneBytes, totalBytes: extents.totalBytes }),
      },
      found,
    );
    if (signal.aborted) throw interrupted(signal);
    addMissing(job, { extents, size, found });
    reportWrites(job, await destination.finish());
    await requireWhole(job.source);
    const { totalBytes: comparedBytes } = command.allowSmaller ? shared : extents;
    return { found, comparedBytes };
  } finally {
    await destination.close();
  }
}

/** Open; whoever opened it closes it. */
interface ComparedDestination {
  /** Compares the source with this. */
  readonly comparer: Comparer;
  /** Bytes. */
  readonly size: number;
  /** To be called when everything was compared: what others wrote to it since it was opened. */
  finish(): Promise<Writes>;
  close(): Promise<void>;
}

function openDestination(job: Verification): Promise<ComparedDestination> {
  const { host, path } = job.command.destination;
  return host === undefined ? openLocal(path, job.source) : openRemote(job);
}

async function openRemote({
  source,
  command,
  context,
}: Verification): Promise<ComparedDestination> {
  const { openRemoteHashes } = await import('./remote-hashes.js');
  const hashes = await openRemoteHashes(command, context);
  return {
    comparer: new HashComparer(new DeviceHashes(source.device), hashes),
    size: hashes.size,
    finish: () => hashes.finish(),
    close: () => hashes.close(),
  };
}

async function openLocal(path: string, source: Source): Promise<ComparedDestination> {
  const device = await FileDevice.open(path, { role: 'destination' });
  try {
    if (identityKey(device.identity) === identityKey(source.device.identity)) {
      throw new LvmsyncError('destinationUnfit', `${path}: this is the source itself`);
    }
    const watch = await WriteWatch.begin(device);
    return {
      comparer: new ByteComparer(source.device, device),
      size: device.size,
      finish: async () => watch.writes(),
      close: () => device.close(),
    };
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** Data past the end of the destination is missing there, and so differs. */
function addMissing(
  { source, command, context }: Verification,
  shape: { readonly extents: ExtentList; readonly size: number; readonly found: Differences },
): void {
  const { extents, size, found } = shape;
  if (size >= source.device.size) return;
  const sizes = `it has ${exactSize(size)}, the source ${exactSize(source.device.size)}`;
  const name = nameOf(command);
  if (command.allowSmaller) {
    context.reporter.warn(`${name}: ${sizes}; the part beyond its end is not compared`);
    return;
  }
  const growth = command.repair ? '; the repair makes a regular file as long as the source' : '';
  context.reporter.warn(`${name}: ${sizes}${growth}`);
  const { pairs } = within(extents, size, Infinity);
  forEachExtent(pairs, (offset, length) => found.add(offset, length));
}

/** If others wrote to either end, that makes a false difference, or hides a real one. */
function reportWrites({ source, command, context }: Verification, atDestination: Writes): void {
  const { watch } = source;
  const writes = watch.writes();
  if (atDestination === 'some') {
    context.reporter.warn(
      `${nameOf(command)}: it was written while it was compared, which may explain differences`,
    );
  }
  if (writes === 'unknown' && command.requireQuiet) throw unwatched(watch);
  if (writes !== 'some') return;
  const what = `${watch.path}: it was written while it was compared, which may explain differences`;
  const hint = `Stop what writes to it${watch.remedy}.`;
  if (command.requireQuiet) throw new LvmsyncError('sourceUnfit', what, { hint });
  context.reporter.warn(`${what}. ${hint}`);
}

function nameOf({ destination: { host, path } }: VerifyCommand): string {
  return host === undefined ? path : `${host}:${path}`;
}

function tell({ source, command, context }: Verification, compared: Compared, repaired = 0): void {
  const findings: Findings = {
    source: source.device.path,
    destination: nameOf(command),
    ...compared,
    full: command.full,
    sourceBytes: source.device.size,
    repairedBytes: repaired,
  };
  context.print(command.json ? describeAsJson(findings) : describeAsText(findings));
}

/** Sends what differs as any sync does, then compares that once more. */
async function repair(job: Verification, found: Differences): Promise<Differences> {
  const { source, command, context } = job;
  const extents = found.list();
  if (extents === undefined) {
    throw new LvmsyncError(
      'destinationUnfit',
      `${nameOf(command)}: too much of it differs for a repair`,
      {
        ...UNTOUCHED,
        hint: 'Make a full copy instead.',
      },
    );
  }
  const part = { ...source, extents, zeros: NO_EXTENTS };
  const { transfer } = await import('../transfer.js');
  await transfer(part, asSync(command), context);
  const again = { ...job, source: part };
  const compared = await compareOnce(again, extents);
  tell(again, compared, extents.totalBytes);
  return compared.found;
}

function asSync(command: VerifyCommand): SyncCommand {
  return {
    ...command,
    kind: 'sync',
    format: 'auto',
    compression: 'none',
    discard: false,
  };
}

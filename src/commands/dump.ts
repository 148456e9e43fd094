/** `lvmsync --stdout SNAPSHOT`: the changes as a stream, for a file or a pipe. */

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import { EXIT, LvmsyncError } from '../base/errors.js';
import { type Pace, RateLimit } from '../base/rate-limit.js';
import type { DumpCommand } from '../cli/command.js';
import { streamLimits } from '../device/batch-limits.js';
import { ioFailure, SlabPool } from '../device/block-device.js';
import { slabSizeFor } from '../device/extent.js';
import { selectEngine } from '../device/select-engine.js';
import { isNativeError } from '../host/native.js';
import { DUMP_DEPTH, dump } from '../pipeline/dump.js';
import type { RunContext } from '../run/context.js';
import { cancelSoonAfter, interrupted } from '../run/interruption.js';
import { openSource } from '../source/open-source.js';
import { requireWhole } from '../source/overflow.js';
import { checkWatch, reportLateFault, reportWrites } from '../source/quiet-check.js';
import type { Source } from '../source/source.js';
import { guardStores } from '../source/store-guard.js';
import { ChangeWriter } from '../stream/change-writer.js';
import { streamAttributes } from '../stream/device-facts.js';
import { refuseClosedOutput, refuseOwnOutput } from './own-output.js';

const STDOUT = 1;

export async function runDump(command: DumpCommand, context: RunContext): Promise<number> {
  if (isatty(STDOUT) && !command.dryRun) {
    throw new LvmsyncError('usage', 'refusing to write a change stream to a terminal', {
      hint: 'Redirect it to a file, or pipe it into lvmsync --apply -.',
    });
  }
  if (!command.dryRun) refuseClosedOutput();
  selectEngine(context);
  const source = await openSource(command.source, context);
  try {
    refuseOwnOutput(source);
    const { requireQuiet } = command;
    checkWatch(source.watch, { requireQuiet, reporter: context.reporter });
    const guard = { source, maxPercent: command.maxCowUse, context };
    await guardStores(guard, (guarded) =>
      command.dryRun ? runDry(source, command, guarded) : dumpFrom(source, command, guarded),
    );
    await reportLateFault(source, context.reporter);
    return EXIT.done;
  } finally {
    await source.close();
  }
}

async function runDry(source: Source, command: DumpCommand, context: RunContext): Promise<void> {
  const { reportDump } = await import('./dry-run.js');
  await reportDump(source, command, context);
}

async function dumpFrom(source: Source, command: DumpCommand, context: RunContext): Promise<void> {
  const { reporter, signal } = context;
  const started = performance.now();
  const { device, extents } = source;
  const limits = streamLimits(source.chunkSize, command);
  const pool = new SlabPool(DUMP_DEPTH + 1, slabSizeFor(limits));
  const output = openOutput();
  let writer: ChangeWriter | undefined;
  const onProgress = (doneBytes: number): void => {
    const { totalBytes } = extents;
    reporter.progress({ activity: 'Sending', doneBytes, totalBytes, packed: writer?.packed });
  };
  try {
    const pace = RateLimit.pace(command.bytesPerSecond, signal);
    writer = await beginStream(output, source, { command, pace });
    cancelSoonAfter(signal, writer.cancel.bind(writer));
    await dump({ source: device, extents, limits, writer, pool, signal, onProgress });
    if (signal.aborted) throw interrupted(signal);
    await requireWhole(source);
    const quiet = { requireQuiet: command.requireQuiet, reporter };
    await writer.end(reportWrites(source.watch, source.watch.writes(), quiet));
    const kept = fstatSync(STDOUT);
    if (kept.isFile() || kept.isBlockDevice()) await writer.syncData();
    const seconds = (performance.now() - started) / 1000;
    reporter.transferred({ bytes: extents.totalBytes, seconds, sourceSize: device.size });
  } catch (error) {
    if (isNativeError(error)) throw signal.aborted ? interrupted(signal) : outputFailure(error);
    if (error instanceof LvmsyncError && writer !== undefined) await sayWhy(writer, error);
    throw error;
  } finally {
    if (output !== STDOUT) closeSync(output);
  }
}

/**
 * Standard output; if it is a pipe, opened once more so that writing to it never blocks, and a signal
 * can end a run whose output nobody reads. The descriptor we were given is shared with others, whose
 * writing must not change.
 */
function openOutput(): number {
  if (!fstatSync(STDOUT).isFIFO()) return STDOUT;
  try {
    return openSync(`/proc/self/fd/${STDOUT}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // Its reader is gone, which the first write will say, or another user's: then it may block.
    return STDOUT;
  }
}

async function beginStream(
  output: number,
  source: Source,
  { command, pace }: { readonly command: DumpCommand; readonly pace: Pace | undefined },
): Promise<ChangeWriter> {
  const options = { compress: command.compression !== 'none', pace };
  if (command.format === 'classic') return ChangeWriter.classic(output, options);
  const facts = {
    kind: 'file',
    deviceSize: source.device.size,
    sorted: true,
    totalBytes: source.extents.totalBytes,
    attributes: await streamAttributes(source),
  } as const;
  return ChangeWriter.framed(output, facts, options);
}

/** The reader of the stream learns that it is not whole, and why; if even that fails, it sees a cut. */
async function sayWhy(writer: ChangeWriter, error: LvmsyncError): Promise<void> {
  const { exitStatus, message } = error;
  await writer.abort({ exitStatus, message }).catch((cause: unknown) => {
    if (!isNativeError(cause)) throw cause;
  });
}

function outputFailure(error: Parameters<typeof ioFailure>[0]['error']): LvmsyncError {
  if (error.code === 'EPIPE') {
    return new LvmsyncError(
      'transport',
      `standard output: its reader stopped reading at byte ${error.offset} (EPIPE)`,
      { state: 'The stream is incomplete.', cause: error },
    );
  }
  const action = error.syscall === 'fdatasync' ? 'flush' : 'write';
  const failure = { path: 'standard output', code: 'destinationWrite', action, error } as const;
  return ioFailure(failure);
}

/** `lvmsync --stdout SNAPSHOT`: the changes as a stream, for a file or a pipe. */

import { isatty } from 'node:tty';
import { EXIT, LvmsyncError } from '../base/errors.js';
import { type Pace, RateLimit } from '../base/rate-limit.js';
import type { DumpCommand } from '../cli/command.js';
import { streamLimits } from '../device/batch-limits.js';
import { SlabPool } from '../device/block-device.js';
import { slabSizeFor } from '../device/extent.js';
import { isNativeError } from '../host/native.js';
import { STDOUT } from '../host/write-fully.js';
import { DUMP_DEPTH, dump } from '../pipeline/dump.js';
import type { RunContext } from '../run/context.js';
import { cancelSoonAfter, interrupted } from '../run/interruption.js';
import { requireWhole } from '../source/overflow.js';
import { reportWrites } from '../source/quiet-check.js';
import type { Source } from '../source/source.js';
import { ChangeWriter } from '../stream/change-writer.js';
import { streamAttributes } from '../stream/device-facts.js';
import { withCheckedSource } from './checked-source.js';
import { refuseClosedOutput, refuseOwnOutput } from './own-output.js';
import { closeOutput, keepsOutput, openOutput, outputFailure } from './raw-output.js';

const LOST_STREAM = {
  what: 'the change stream',
  code: 'usage',
  hint: 'Redirect it to a file, or pipe it into lvmsync --apply -.',
} as const;

const CUT_STREAM = { readerGone: 'transport', state: 'The stream is incomplete.' } as const;

export async function runDump(command: DumpCommand, context: RunContext): Promise<number> {
  if (isatty(STDOUT) && !command.dryRun) {
    throw new LvmsyncError('usage', 'refusing to write a change stream to a terminal', {
      hint: 'Redirect it to a file, or pipe it into lvmsync --apply -.',
    });
  }
  if (!command.dryRun) refuseClosedOutput(LOST_STREAM);
  await withCheckedSource(command, context, {
    refuse: refuseOwnOutput,
    work: (source, guarded) =>
      command.dryRun ? runDry(source, command, guarded) : dumpFrom(source, command, guarded),
  });
  return EXIT.done;
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
    if (keepsOutput()) await writer.syncData();
    const seconds = (performance.now() - started) / 1000;
    reporter.transferred({ bytes: extents.totalBytes, seconds, sourceSize: device.size });
  } catch (error) {
    if (isNativeError(error))
      throw signal.aborted ? interrupted(signal) : outputFailure(error, CUT_STREAM);
    if (error instanceof LvmsyncError && writer !== undefined) await sayWhy(writer, error);
    throw error;
  } finally {
    closeOutput(output);
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

/** `--dry-run` of a sync or a dump: every check of the run, and what it would send. Nothing is written. */

import { humanSize } from '../base/text.js';
import type { DumpCommand, SyncCommand } from '../cli/command.js';
import { BATCH_LIMITS, NO_EXTENTS, planBatches, slabSizeFor } from '../device/extent.js';
import { difference } from '../device/extent-sets.js';
import { type Measurement, measureReading } from '../device/read-speed.js';
import { LOCAL_DEPTH } from '../pipeline/local-sync.js';
import { askReceiver } from '../remote/ask-receiver.js';
import { placeName } from '../remote/destination-name.js';
import { snapbackOfPart } from '../remote/remote-command.js';
import type { SendRequest } from '../remote/request.js';
import { planParts } from '../remote/stream-parts.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import type { Source } from '../source/source.js';
import { readFills } from '../source/store-guard.js';
import { formatRows, type Row, sendingRows } from './dry-run-report.js';
import { checkLocal } from './local-copy.js';

/** The source is read for at most about so long to see how fast that goes. Milliseconds. */
const MEASURED_MS = 1000;

/** Throws what the run would throw before its first byte. */
export async function reportSync(
  source: Source,
  command: SyncCommand,
  context: RunContext,
): Promise<void> {
  const checked = await checkDestinationOf(source, command, context);
  const rows = [...(await rowsOf(source, command, context)), ...checked];
  const place = placeName(command.destination);
  context.print(formatRows(`Dry run: ${source.device.path} to ${place}`, rows));
}

export async function reportDump(
  source: Source,
  command: DumpCommand,
  context: RunContext,
): Promise<void> {
  const rows = await rowsOf(source, { ...command, discard: false }, context);
  const text = formatRows(`Dry run: ${source.device.path} to standard output`, rows);
  // Standard output is for the stream, and may have a reader that takes nothing else.
  for (const line of text.trimEnd().split('\n')) context.reporter.info(line);
}

/** The data that would be sent, and how the source fares. */
export async function rowsOf(
  source: Source,
  rules: Pick<SendRequest, 'bytesPerSecond' | 'discard'>,
  context: RunContext,
): Promise<Row[]> {
  const { device, extents, zeros } = source;
  return sendingRows({
    path: device.path,
    sourceSize: device.size,
    extentCount: extents.count,
    totalBytes: extents.totalBytes,
    zeroBytes: zeros.totalBytes,
    discards: rules.discard,
    bytesPerSecond: rules.bytesPerSecond,
    fills: await readFills(source),
    reading: await readABit(source, context),
  });
}

async function readABit(
  { device, extents, zeros }: Source,
  { signal }: RunContext,
): Promise<Measurement | undefined> {
  const data = difference(extents, zeros);
  if (data.count === 0) return undefined;
  const rules = { milliseconds: MEASURED_MS, depth: LOCAL_DEPTH, signal };
  const measured = await measureReading(device, planBatches(data, BATCH_LIMITS), {
    ...rules,
    slabSize: slabSizeFor(BATCH_LIMITS),
  });
  if (signal.aborted) throw interrupted(signal);
  return measured;
}

async function checkDestinationOf(
  source: Source,
  command: SyncCommand,
  context: RunContext,
): Promise<Row[]> {
  const { destination, snapback, remote } = command;
  const may = `${placeName(destination)} can be written`;
  if (destination.host === undefined) {
    const { totalBytes } = await checkLocal(source, command, context);
    return [['destination', may], ...snapbackRows(snapback?.path, totalBytes)];
  }
  if (remote.helper === undefined) await askEach(source, command, context);
  else {
    const { withHelper } = await import('../remote/push-helper.js');
    await withHelper(command, context, (served) => askEach(source, served, context));
  }
  const { totalBytes } = source.extents;
  return [['destination', may], ...snapbackRows(snapback?.path, totalBytes)];
}

function snapbackRows(path: string | undefined, bytes: number): Row[] {
  if (path === undefined) return [];
  return [['snapback', `${path} can be created, at most ${humanSize(bytes)}`]];
}

/** With several streams, each has a snapback of its own that may be in the way. */
async function askEach(source: Source, command: SendRequest, context: RunContext): Promise<void> {
  const { snapback, chain } = command;
  const parts = planParts(source, chain === undefined ? command.remote.streams : 1);
  const asked = snapback === undefined ? parts.slice(0, 1) : parts;
  for (const [i, { extents, zeros }] of asked.entries()) {
    const place = { streamIndex: i + 1, streamCount: parts.length };
    const own = snapback && snapbackOfPart(snapback, place);
    const sent = command.discard ? zeros : NO_EXTENTS;
    const question = { source, totalBytes: extents.totalBytes, zeros: sent };
    await askReceiver({ ...question, command: { ...command, snapback: own } }, context);
  }
}

/** The change stream to a receiver that this run started: what goes into it, in which form. */

import { DISCARD_FEATURE, LZ4_FEATURE } from './ack.js';
import { SlabPool } from './block-device.js';
import { ChangeWriter } from './change-writer.js';
import { deviceAttributes } from './device-identity.js';
import { DUMP_DEPTH, dump, type GroupSink } from './dump.js';
import { type ExtentList, NO_EXTENTS, slabSizeFor } from './extent.js';
import { difference } from './extent-sets.js';
import type { StreamTotals } from './native.js';
import type { SyncCommand } from './options.js';
import { RateLimit, streamLimits } from './rate-limit.js';
import { interrupted, type RunContext } from './run-context.js';
import type { Source } from './source.js';
import { reportWrites } from './source-report.js';
import { AutoSink } from './wire-sink.js';

/** A receiver of ours has long answered when the data before were taken. */
const READY_PATIENCE_MS = 5000;

export interface WirePeer {
  readonly inputFd: number;
  /** What it said it can, when it says so; an old one never does. */
  readonly features: Promise<readonly string[]>;
  readonly exited: Promise<unknown>;
}

export interface WireStream {
  readonly source: Source;
  readonly command: SyncCommand;
  readonly context: RunContext;
  readonly streamId: Uint8Array;
  readonly peer: WirePeer;
  /** Called once, before the first group. */
  readonly onWriter: (writer: ChangeWriter) => void;
}

/**
 * Writes all of it. Throws an LvmsyncError if the source fails or a signal came, the addon's error if
 * the peer takes no more.
 */
export async function writeWireStream(stream: WireStream): Promise<StreamTotals> {
  const { source, command, context, peer } = stream;
  const { extents } = source;
  const { signal } = context;
  const zeros = hasFrames(command) && command.discard ? source.zeros : NO_EXTENTS;
  const writer = await begin(stream, zeros);
  stream.onWriter(writer);
  const sink = sinkOf(stream, writer);
  await send(stream, sink, { extents: difference(extents, zeros), bytesBefore: 0 });
  if (zeros.count > 0 && !signal.aborted) {
    const bytesBefore = extents.totalBytes - zeros.totalBytes;
    if (await peerPunches(peer)) await writer.writeDiscards(zeros);
    else await send(stream, sink, { extents: zeros, bytesBefore });
  }
  if (signal.aborted) throw interrupted(signal);
  const { requireQuiet } = command;
  const rules = { requireQuiet, reporter: context.reporter };
  await writer.end(reportWrites(source.watch, source.watch.writes(), rules));
  return writer.totals();
}

function hasFrames({ format }: SyncCommand): boolean {
  return format !== 'classic';
}

async function begin(stream: WireStream, zeros: ExtentList): Promise<ChangeWriter> {
  const { source, command, context, streamId, peer } = stream;
  const { device, extents, attributes } = source;
  const options = {
    compress: command.compression === 'lz4',
    pace: RateLimit.pace(command.bytesPerSecond, context.signal),
  };
  if (!hasFrames(command)) return ChangeWriter.classic(peer.inputFd, options);
  const facts = {
    kind: 'wire',
    deviceSize: device.size,
    // What reads as zeros comes last, so that by then the receiver has said whether it can punch.
    sorted: zeros.count === 0,
    totalBytes: extents.totalBytes,
    attributes: { ...(await deviceAttributes(device)), ...attributes },
  } as const;
  return ChangeWriter.framed(peer.inputFd, facts, { ...options, streamId });
}

function sinkOf({ command, context, peer }: WireStream, writer: ChangeWriter): GroupSink {
  if (command.compression !== 'auto') return writer;
  let features: readonly string[] = [];
  void peer.features.then((said) => {
    features = said;
  });
  return new AutoSink(writer, {
    readsLz4: () => features.includes(LZ4_FEATURE),
    onChange: () =>
      context.reporter.verbose('the link holds the run up: compressing from here (LZ4)'),
  });
}

function send(
  { source, command, context }: WireStream,
  writer: GroupSink,
  part: { readonly extents: ExtentList; readonly bytesBefore: number },
): Promise<void> {
  const { extents, bytesBefore } = part;
  const { reporter, signal } = context;
  const { totalBytes } = source.extents;
  const limits = streamLimits(source.chunkSize, command);
  const pool = new SlabPool(DUMP_DEPTH + 1, slabSizeFor(limits));
  const onProgress = (bytes: number): void =>
    reporter.progress({ activity: 'Sending', doneBytes: bytesBefore + bytes, totalBytes });
  return dump({ source: source.device, extents, limits, writer, pool, signal, onProgress });
}

/** An old receiver never answers: it gets zeros. */
async function peerPunches({ features, exited }: WirePeer): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<readonly string[]>((resolve) => {
    timer = setTimeout(resolve, READY_PATIENCE_MS, []);
  });
  const ended = exited.then((): readonly string[] => []);
  const said = await Promise.race([features, ended, patience]);
  clearTimeout(timer);
  return said.includes(DISCARD_FEATURE);
}

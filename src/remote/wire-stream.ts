/** The change stream to a receiver that this run started: what goes into it, in which form. */

import type { Pace } from '../base/rate-limit.js';
import { streamLimits } from '../device/batch-limits.js';
import { SlabPool } from '../device/block-device.js';
import { type ExtentList, limitsAmong, NO_EXTENTS, slabSizeFor } from '../device/extent.js';
import { difference } from '../device/extent-sets.js';
import type { StreamTotals } from '../host/native.js';
import { DUMP_DEPTH, dump, type GroupSink } from '../pipeline/dump.js';
import { interrupted } from '../run/interruption.js';
import type { Source } from '../source/source.js';
import { DISCARD_FEATURE, LZ4_FEATURE } from '../stream/answer-lines.js';
import { ChangeWriter } from '../stream/change-writer.js';
import { type HelloAttributes, OPEN_END, type StreamPosition } from '../stream/control-frame.js';
import { streamAttributes } from '../stream/device-facts.js';
import { ExpectingSink, type Found, wholeBlocks } from './compared-stream.js';
import type { SendRequest } from './request.js';
import type { Part } from './stream-parts.js';
import type { SetMember } from './stream-set.js';
import { AutoSink } from './wire-sink.js';

/** A receiver of ours has long answered when the data before were taken. */
const READY_PATIENCE_MS = 5000;

export interface WirePeer extends SetMember {
  readonly inputFd: number;
}

export interface WireStream {
  readonly source: Source;
  /** The part of the source that this stream carries. */
  readonly part: Part;
  readonly place: StreamPosition;
  readonly streamId: Uint8Array;
  readonly command: SendRequest;
  readonly signal: AbortSignal;
  readonly pace: Pace | undefined;
  readonly peer: WirePeer;
  /** Called once, before the first group. */
  readonly onWriter: (writer: ChangeWriter) => void;
  /** Bytes of this stream. */
  readonly onProgress: (doneBytes: number) => void;
  readonly onCompression: () => void;
  /** Has the receiver, which said that it can do that, compared. */
  readonly onComparison: (writer: ChangeWriter, features: readonly string[]) => Promise<Found>;
  /** Called after the handshake and before the end; each resolves when the stream may go on. */
  readonly beforeData: () => Promise<void>;
  readonly beforeEnd: () => Promise<void>;
  /** The end's description of the source. Throws (sourceUnfit) where that makes the run fail. */
  readonly endFlags: () => Promise<{ readonly sourceChanged: boolean }>;
}

/**
 * Writes all of it. Throws an LvmsyncError if the source fails or a signal came, the addon's error if
 * the peer takes no more.
 */
export async function writeWireStream(stream: WireStream): Promise<StreamTotals> {
  const { command, part, peer, signal } = stream;
  if (command.compare !== undefined) return writeCompared(stream);
  const { extents } = part;
  const zeros = hasFrames(command) && command.discard ? part.zeros : NO_EXTENTS;
  const writer = await begin(stream, zeros);
  stream.onWriter(writer);
  await stream.beforeData();
  const sink = sinkOf(stream, writer);
  await send(stream, sink, { extents: difference(extents, zeros), bytesBefore: 0 });
  if (zeros.count > 0 && !signal.aborted) {
    const bytesBefore = extents.totalBytes - zeros.totalBytes;
    if (await peerPunches(peer)) await writer.writeDiscards(zeros);
    else await send(stream, sink, { extents: zeros, bytesBefore });
  }
  return end(stream, writer);
}

async function end({ signal, ...stream }: WireStream, writer: ChangeWriter): Promise<StreamTotals> {
  if (!signal.aborted) await stream.beforeEnd();
  if (signal.aborted) throw interrupted(signal);
  await writer.end(await stream.endFlags());
  return writer.totals();
}

async function writeCompared(stream: WireStream): Promise<StreamTotals> {
  const { command, peer, onComparison } = stream;
  const writer = await begin(stream, NO_EXTENTS);
  stream.onWriter(writer);
  await stream.beforeData();
  const ended = peer.exited.then((): readonly string[] => []);
  const features = await Promise.race([peer.features, ended]);
  const { extents, hashes, tail } = await onComparison(writer, features);
  if (command.compression === 'lz4' && features.includes(LZ4_FEATURE)) {
    await writer.compressFromHere();
  }
  const sink = sinkOf(stream, writer);
  const expecting = new ExpectingSink(sink, writer, hashes);
  await send(stream, expecting, { extents, bytesBefore: 0 });
  await send(stream, sink, { extents: tail, bytesBefore: extents.totalBytes });
  return end(stream, writer);
}

function hasFrames({ format }: SendRequest): boolean {
  return format !== 'classic';
}

async function begin(stream: WireStream, zeros: ExtentList): Promise<ChangeWriter> {
  const { source, part, place, command, streamId, peer, pace } = stream;
  const compare = command.compare !== undefined;
  // The lines of a comparison come between HELLO and the data.
  const options = { compress: command.compression === 'lz4' && !compare, pace };
  if (!hasFrames(command)) return ChangeWriter.classic(peer.inputFd, options);
  const facts = {
    kind: 'wire',
    deviceSize: source.device.size,
    // Zeros come last, so that by then the receiver has reported whether it can punch.
    sorted: zeros.count === 0,
    totalBytes: compare ? undefined : part.extents.totalBytes,
    place,
    attributes: {
      ...(await streamAttributes(source)),
      ...zeroFacts(zeros),
      ...(command.compare && { comparison: command.compare }),
      ...(command.remote.joined && { inputEnd: OPEN_END }),
    },
  } as const;
  return ChangeWriter.framed(peer.inputFd, facts, { ...options, streamId });
}

/** The part that a receiver may get as discards: most of it changes nothing, and so takes no room in a snapback. */
export function zeroFacts({ totalBytes }: ExtentList): Pick<HelloAttributes, 'zeroBytes'> {
  return totalBytes === 0 ? {} : { zeroBytes: String(totalBytes) };
}

function sinkOf({ command, peer, onCompression }: WireStream, writer: ChangeWriter): GroupSink {
  if (command.compression !== 'auto') return writer;
  let features: readonly string[] = [];
  void peer.features.then((said) => {
    features = said;
  });
  return new AutoSink(writer, {
    readsLz4: () => features.includes(LZ4_FEATURE),
    onChange: onCompression,
  });
}

function send(
  { source, command, place, signal, ...stream }: WireStream,
  writer: GroupSink,
  part: { readonly extents: ExtentList; readonly bytesBefore: number },
): Promise<void> {
  const { extents, bytesBefore } = part;
  const usual = limitsAmong(streamLimits(source.chunkSize, command), place.streamCount);
  const limits = command.compare !== undefined ? wholeBlocks(usual) : usual;
  const pool = new SlabPool(DUMP_DEPTH + 1, slabSizeFor(limits));
  const onProgress = (bytes: number): void => stream.onProgress(bytesBefore + bytes);
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

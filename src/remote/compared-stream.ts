/** A stream whose changes are found first, by comparing hashes of both ends on its own connection. */

import { LvmsyncError } from '../base/errors.js';
import type { Slab } from '../device/block-device.js';
import { type BatchLimits, type ExtentList, NO_EXTENTS } from '../device/extent.js';
import { forEachOperation } from '../device/operations.js';
import type { Operations } from '../host/native.js';
import { DeviceHashes } from '../pipeline/block-hashes.js';
import { type ChangesByHash, findChangesByHash } from '../pipeline/changes-by-hash.js';
import type { GroupSink } from '../pipeline/dump.js';
import { interrupted } from '../run/interruption.js';
import type { Source } from '../source/source.js';
import { COMPARE_FEATURE } from '../stream/answer-lines.js';
import type { ChangeWriter } from '../stream/change-writer.js';
import { blocksIn, HASH_BLOCK, HASH_SIZE } from '../stream/hash-lines.js';
import { HashConversation } from './hash-conversation.js';
import type { PeerSession } from './peer-session.js';

export interface ComparedSource {
  readonly source: Source;
  /** Not begun. */
  readonly conversation: HashConversation;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
}

export interface Found extends ChangesByHash {
  /** Behind the end of the destination. */
  readonly tail: ExtentList;
}

/** The receiver has; how it ended tells why. */
export class PeerEnded extends Error {}

/**
 * On the connection of a stream whose receiver is ready. Fails with PeerEnded when that ends; throws it if it has,
 * (transport) for a receiver that does not know how.
 */
export function converse({
  host,
  session,
  writer,
  features,
}: {
  readonly host: string;
  readonly session: Pick<PeerSession, 'exited' | 'exit'>;
  readonly writer: ChangeWriter;
  readonly features: readonly string[];
}): HashConversation {
  if (session.exit !== undefined) throw new PeerEnded();
  if (!features.includes(COMPARE_FEATURE)) {
    throw new LvmsyncError('transport', `${host}: the lvmsync there cannot compare`, {
      hint: 'Install the same version of lvmsync on both hosts.',
    });
  }
  const conversation = new HashConversation({
    host,
    session: Buffer.from(writer.streamId).toString('hex'),
    write: (bytes) => writer.writeLine(bytes),
    onFailure: () => undefined,
  });
  void session.exited.then(() => conversation.fail(new PeerEnded()));
  return conversation;
}

/** To be called when the receiver is ready; it takes data after that. */
export async function findChanges(job: ComparedSource): Promise<Found> {
  const { source, conversation, signal } = job;
  const { device } = source;
  const size = await conversation.begin();
  const whole = NO_EXTENTS.withTail(0, device.size);
  const hashes = new DeviceHashes(device);
  const extents = whole.clippedTo(size);
  const found = await findChangesByHash({
    ...job,
    ...{ source: hashes, destination: conversation, extents },
  });
  if (signal.aborted) throw interrupted(signal);
  const tail = NO_EXTENTS.withTail(Math.min(size, device.size), device.size);
  await conversation.end(found.extents.totalBytes + tail.totalBytes);
  // The answer may come before the write of the last request is known to have ended.
  await conversation.sent;
  return { ...found, tail };
}

/** Sends with each group what its blocks held when they were compared. */
export class ExpectingSink implements GroupSink {
  readonly #sink: GroupSink;
  readonly #writer: Pick<ChangeWriter, 'expect'>;
  readonly #hashes: Uint8Array;
  #at = 0;

  /** `hashes`: of all blocks that will be written, in order. */
  constructor(sink: GroupSink, writer: Pick<ChangeWriter, 'expect'>, hashes: Uint8Array) {
    this.#sink = sink;
    this.#writer = writer;
    this.#hashes = hashes;
  }

  async writeGroup(slab: Slab, operations: Operations): Promise<void> {
    let blocks = 0;
    forEachOperation(operations, (_, length) => {
      blocks += blocksIn(length);
    });
    const end = this.#at + blocks * HASH_SIZE;
    await this.#writer.expect(this.#hashes.subarray(this.#at, end));
    this.#at = end;
    await this.#sink.writeGroup(slab, operations);
  }
}

/** No block is cut. */
export function wholeBlocks(limits: BatchLimits): BatchLimits {
  const whole = (bytes: number): number => Math.max(HASH_BLOCK, bytes - (bytes % HASH_BLOCK));
  return {
    ...limits,
    ...{ bytes: whole(limits.bytes), operationBytes: whole(limits.operationBytes) },
  };
}

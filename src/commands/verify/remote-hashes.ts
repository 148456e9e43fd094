/** The hashes of a destination on another host, from `lvmsync --hash-blocks` there. */

import { LvmsyncError } from '../../base/errors.js';
import type { VerifyCommand } from '../../cli/command.js';
import type { Writes } from '../../device/write-watch.js';
import type { NativeRecordWriter, Operations } from '../../host/native.js';
import type { HashedDestination } from '../../pipeline/block-hashes.js';
import { connect } from '../../remote/connect.js';
import { HashConversation } from '../../remote/hash-conversation.js';
import type { PeerExit, PeerStream } from '../../remote/peer.js';
import { PeerOutput } from '../../remote/peer-output.js';
import { PeerSession, type SessionEnd } from '../../remote/peer-session.js';
import { judgeHasher } from '../../remote/peer-verdict.js';
import { hasherArguments } from '../../remote/remote-command.js';
import { LIMITS, noAnswer } from '../../remote/stall-watch.js';
import type { RunContext } from '../../run/context.js';
import { interrupted } from '../../run/interruption.js';
import { newStreamId } from '../../stream/change-writer.js';

/** Throws unless the program there has the destination open. */
export async function openRemoteHashes(
  command: VerifyCommand,
  context: RunContext,
): Promise<HashedDestination> {
  const hashes = new RemoteHashes(command, context);
  try {
    await hashes.open();
    return hashes;
  } catch (error) {
    await hashes.close();
    throw error;
  }
}

class RemoteHashes implements HashedDestination {
  readonly #command: VerifyCommand;
  readonly #context: RunContext;
  readonly #host: string;
  readonly #session = newStreamId();
  readonly #output: PeerOutput;
  readonly #conversation: HashConversation;
  #peer: PeerSession | undefined;
  #writer: NativeRecordWriter | undefined;
  #size = 0;

  constructor(command: VerifyCommand, context: RunContext) {
    this.#command = command;
    this.#context = context;
    this.#host = command.destination.host ?? '';
    const session = Buffer.from(this.#session).toString('hex');
    this.#output = new PeerOutput(context.reporter, session);
    this.#conversation = new HashConversation({
      ...{ host: this.#host, session },
      write: async (bytes) => this.#writer?.writeRaw(bytes),
      onFailure: () => {
        // The program there is of no more use.
        this.#writer?.cancel();
        this.#peer?.kill();
      },
    });
  }

  get size(): number {
    return this.#size;
  }

  async open(): Promise<void> {
    const { remote, destination, verbosity, priority } = this.#command;
    const hashing = { verbosity, destination: destination.path, ...(priority && { priority }) };
    const args = hasherArguments(hashing);
    const onLine = (line: string, stream: PeerStream): void => this.#take(line, stream);
    const request = { host: this.#host, remote, args, onLine };
    const peer = new PeerSession(await connect(request, this.#context));
    this.#peer = peer;
    this.#writer = peer.openWriter(this.#session);
    void peer.exited.then((exit) => this.#onExit(exit, peer.lateAfter));
    this.#guard(peer);
    this.#size = await this.#conversation.begin();
  }

  hash(operations: Operations): Promise<Uint8Array> {
    return this.#conversation.hash(operations);
  }

  async finish(): Promise<Writes> {
    const writes = await this.#conversation.end();
    this.#peer?.endSoon();
    const end = await this.#closePeer();
    const { failure } = this.#conversation;
    if (failure !== undefined) throw failure;
    if (end === undefined || end.wasCut) return writes;
    const { exit } = end;
    if (exit.kind !== 'status' || exit.status !== 0) throw this.#judge(exit);
    return writes;
  }

  /** Ends the program there if it has not ended. Never rejects. */
  async close(): Promise<void> {
    this.#peer?.kill();
    await this.#closePeer();
  }

  /** How it ended; undefined if that was known before. */
  async #closePeer(): Promise<SessionEnd | undefined> {
    const peer = this.#peer;
    if (peer === undefined) return undefined;
    await this.#conversation.sent;
    const end = await peer.close();
    this.#peer = undefined;
    this.#output.end();
    return end;
  }

  /** Until it is ready, and from then on, with another limit. Their failures are those of its end. */
  #guard(peer: PeerSession): void {
    const { signal, reporter } = this.#context;
    const conversation = this.#conversation;
    const guard = (limitSeconds: number) =>
      peer.guard({
        host: this.#host,
        reporter,
        signal,
        progress: () => (conversation.isIdle ? performance.now() : conversation.answers),
        limitSeconds: this.#command.remote.timeoutSeconds ?? limitSeconds,
      });
    const stopWaiting = guard(LIMITS.answer);
    void conversation.ready.then(
      () => {
        stopWaiting();
        guard(LIMITS.hashes);
      },
      () => peer.kill(),
    );
  }

  #take(line: string, stream: PeerStream): void {
    const rest = stream === 'stdout' ? this.#conversation.take(line) : line;
    if (rest !== undefined) this.#output.take(rest, stream);
  }

  #onExit(exit: PeerExit, lateAfter: number | undefined): void {
    const conversation = this.#conversation;
    if (conversation.isDone) return;
    const { signal } = this.#context;
    if (signal.aborted) conversation.fail(interrupted(signal));
    else if (lateAfter === undefined) conversation.fail(this.#judge(exit));
    else if (conversation.isReady) conversation.fail(stalled(this.#host, lateAfter));
    else conversation.fail(noAnswer({ host: this.#host }, lateAfter));
  }

  #judge(exit: PeerExit): LvmsyncError {
    const { result, lastLines, unseenLines } = this.#output;
    const { remote } = this.#command;
    return judgeHasher({
      ...{ host: this.#host, remote, exit, result, lastLines, unseenLines },
      ready: this.#conversation.isReady,
    });
  }
}

function stalled(host: string, seconds: number): LvmsyncError {
  return new LvmsyncError('transport', `${host}: nothing moved for ${seconds} s: given up`);
}

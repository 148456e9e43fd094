/** The hashes of a destination on another host, from `lvmsync --hash-blocks` there. */

import { LvmsyncError } from '../../base/errors.js';
import type { VerifyCommand } from '../../cli/command.js';
import type { Writes } from '../../device/write-watch.js';
import type { NativeRecordWriter, Operations } from '../../host/native.js';
import { connect } from '../../remote/connect.js';
import type { PeerExit, PeerStream } from '../../remote/peer.js';
import { PeerOutput } from '../../remote/peer-output.js';
import { PeerSession, type SessionEnd } from '../../remote/peer-session.js';
import { judgeHasher } from '../../remote/peer-verdict.js';
import { hasherArguments } from '../../remote/remote-command.js';
import { LIMITS, noAnswer } from '../../remote/stall-watch.js';
import type { RunContext } from '../../run/context.js';
import { interrupted } from '../../run/interruption.js';
import { newStreamId } from '../../stream/change-writer.js';
import {
  formatHashRequest,
  HASH_SIZE,
  type HashAnswer,
  hashAnswerStart,
  parseHashAnswer,
} from '../../stream/hash-lines.js';
import type { HashedDestination } from './block-hashes.js';

interface Waiting {
  readonly number: number;
  /** Bytes that the answer has to have. */
  readonly size: number;
  readonly resolve: (hashes: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

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

/** Requests are answered in their order. One failure is the failure of all that wait. */
class RemoteHashes implements HashedDestination {
  readonly #command: VerifyCommand;
  readonly #context: RunContext;
  readonly #host: string;
  readonly #session = newStreamId();
  readonly #sessionId = Buffer.from(this.#session).toString('hex');
  readonly #output: PeerOutput;
  readonly #waiting: Waiting[] = [];
  readonly #ready = new Deferred<number>();
  readonly #done = new Deferred<Writes>();
  #peer: PeerSession | undefined;
  #writer: NativeRecordWriter | undefined;
  #sending: Promise<void> = Promise.resolve();
  #size = 0;
  #requests = 0;
  #answers = 0;
  #isReady = false;
  #ended = false;
  #failure: unknown;

  constructor(command: VerifyCommand, context: RunContext) {
    this.#command = command;
    this.#context = context;
    this.#host = command.destination.host ?? '';
    this.#output = new PeerOutput(context.reporter, this.#sessionId);
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
    this.#send(formatHashRequest({ kind: 'hello', session: this.#sessionId }));
    this.#size = await this.#ready.promise;
  }

  hash(operations: Operations): Promise<Uint8Array> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const number = this.#requests++;
    const size = (operations.length / 3) * HASH_SIZE;
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting.push({ number, size, resolve, reject });
    });
    this.#send(formatHashRequest({ kind: 'blocks', number, operations }));
    return answer;
  }

  async finish(): Promise<Writes> {
    this.#send(formatHashRequest({ kind: 'end', requests: this.#requests }));
    const writes = await this.#done.promise;
    this.#peer?.endSoon();
    const end = await this.#closePeer();
    if (this.#failure !== undefined) throw this.#failure;
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
    // The descriptor must not be closed under a write.
    await this.#sending;
    const end = await peer.close();
    this.#peer = undefined;
    this.#output.end();
    return end;
  }

  /** Until it is ready, and from then on, with another limit. Their failures are those of its end. */
  #guard(peer: PeerSession): void {
    const { signal, reporter } = this.#context;
    const guard = (limitSeconds: number) =>
      peer.guard({
        host: this.#host,
        reporter,
        signal,
        progress: () => (this.#isIdle ? performance.now() : this.#answers),
        limitSeconds: this.#command.remote.timeoutSeconds ?? limitSeconds,
      });
    const stopWaiting = guard(LIMITS.answer);
    void this.#ready.promise.then(
      () => {
        stopWaiting();
        guard(LIMITS.hashes);
      },
      () => peer.kill(),
    );
  }

  /** Nothing is to be expected of the peer. */
  get #isIdle(): boolean {
    return this.#isReady && !this.#ended && this.#waiting.length === 0;
  }

  /** One line after the other; if the peer takes no more, its end shows that. */
  #send(line: string): void {
    if (line.startsWith('end ')) this.#ended = true;
    const bytes = Buffer.from(line);
    this.#sending = this.#sending
      .then(() => (this.#failure === undefined ? this.#writer?.writeRaw(bytes) : undefined))
      .catch(() => undefined);
  }

  #take(line: string, stream: PeerStream): void {
    const start = stream === 'stdout' ? hashAnswerStart(line, this.#sessionId) : -1;
    if (start !== 0) this.#output.take(start < 0 ? line : line.slice(0, start), stream);
    const answer = start < 0 ? undefined : parseHashAnswer(line.slice(start), this.#sessionId);
    if (answer === undefined) return;
    if (this.#failure !== undefined) return;
    this.#answers++;
    if (answer.kind === 'garbled' || !this.#accept(answer)) this.#fail(unreadable(this.#host));
  }

  /** False for an answer to nothing that was asked. */
  #accept(answer: HashAnswer): boolean {
    switch (answer.kind) {
      case 'ready': {
        if (this.#isReady) return false;
        this.#isReady = true;
        this.#ready.resolve(answer.size);
        return true;
      }
      case 'hashes': {
        const asked = this.#waiting.shift();
        if (asked === undefined) return false;
        const fits = asked.number === answer.number && asked.size === answer.hashes.length;
        if (fits) asked.resolve(answer.hashes);
        // It fails with the others.
        else this.#waiting.unshift(asked);
        return fits;
      }
      case 'done': {
        const fits = this.#ended && this.#waiting.length === 0;
        if (fits && answer.requests === this.#requests) this.#done.resolve(answer.writes);
        return fits && answer.requests === this.#requests;
      }
    }
  }

  #onExit(exit: PeerExit, lateAfter: number | undefined): void {
    if (this.#done.isResolved) return;
    const { signal } = this.#context;
    if (signal.aborted) this.#fail(interrupted(signal));
    else if (lateAfter === undefined) this.#fail(this.#judge(exit));
    else if (this.#isReady) this.#fail(stalled(this.#host, lateAfter));
    else this.#fail(noAnswer({ host: this.#host }, lateAfter));
  }

  #judge(exit: PeerExit): LvmsyncError {
    const { result, lastLines, unseenLines } = this.#output;
    const { remote } = this.#command;
    return judgeHasher({
      ...{ host: this.#host, remote, exit, result, lastLines, unseenLines },
      ready: this.#isReady,
    });
  }

  /** The first failure counts; the program there is of no more use. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#writer?.cancel();
    this.#peer?.kill();
    this.#ready.reject(error);
    this.#done.reject(error);
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

/** A promise that others settle; one that nobody awaits may fail unseen. */
class Deferred<T> {
  isResolved = false;
  resolve: (value: T) => void = () => undefined;
  reject: (error: unknown) => void = () => undefined;
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = (value) => {
      this.isResolved = true;
      resolve(value);
    };
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(() => undefined);
  }
}

function unreadable(host: string): LvmsyncError {
  return new LvmsyncError('transport', `${host}: its answer does not match any request`, {
    hint: 'Its results were ignored. Is the same version of lvmsync on both hosts?',
  });
}

function stalled(host: string, seconds: number): LvmsyncError {
  return new LvmsyncError('transport', `${host}: nothing moved for ${seconds} s: given up`);
}

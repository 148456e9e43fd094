/** One change stream to one receiver: connected, written, and its end judged. */

import { setTimeout as sleep } from 'node:timers/promises';
import { LvmsyncError } from '../base/errors.js';
import type { Pace } from '../base/rate-limit.js';
import { isNativeError, native, type StreamTotals } from '../host/native.js';
import type { RunContext } from '../run/context.js';
import { cancelSoonAfter, interrupted } from '../run/interruption.js';
import type { Packed } from '../run/progress.js';
import type { Source } from '../source/source.js';
import { type ChangeWriter, newStreamId } from '../stream/change-writer.js';
import { converse, type Found, findChanges, PeerEnded } from './compared-stream.js';
import { connect } from './connect.js';
import { hostName } from './destination-name.js';
import { type HashConversation, withoutHashes } from './hash-conversation.js';
import type { OnLine } from './peer.js';
import { PeerOutput } from './peer-output.js';
import { type Guard, PeerSession, type SessionEnd } from './peer-session.js';
import { judge, mayHaveRun } from './peer-verdict.js';
import { receiverArguments } from './remote-command.js';
import type { SendRequest } from './request.js';
import { LIMITS, noAnswer } from './stall-watch.js';
import type { Part } from './stream-parts.js';
import type { StreamSet } from './stream-set.js';
import { writeWireStream } from './wire-stream.js';

/** After a signal a receiver may flush what it has; one that does not end then is ended. Milliseconds. */
const LAST_PATIENCE_MS = 8000;
/** From a receiver's report of how it ended to the end of its connection. Milliseconds. */
const LINGER_MS = 10_000;
/** The same of one that removes old links of a chain. */
const CLEARING_MS = 600_000;
/** A login that takes longer may go on beside further ones. */
const LOGIN_PATIENCE_MS = 5000;

export interface SendJob {
  readonly source: Source;
  readonly part: Part;
  /** With the snapback of this stream. */
  readonly command: SendRequest;
  readonly context: RunContext;
  /** The streams of this run, and which of them this is, counted from 1. */
  readonly set: StreamSet;
  readonly index: number;
  readonly pace: Pace | undefined;
  readonly onProgress: (doneBytes: number) => void;
  /** Of a comparison before the data; then with the bytes that follow. */
  readonly onCompared: (doneBytes: number) => void;
  readonly onFound: (bytes: number) => void;
  readonly endFlags: () => Promise<{ readonly sourceChanged: boolean }>;
}

/** The fate of the stream: all of it was written, the peer stopped taking it, or we gave up. */
type Sent =
  | { readonly kind: 'all'; readonly totals: StreamTotals }
  | { readonly kind: 'refused' }
  | { readonly kind: 'failed'; readonly error: unknown };

export class StreamSender {
  /** The name of the remote side in messages. */
  readonly name: string;
  readonly #shipment: SendJob;
  readonly #streamId: Uint8Array;
  readonly #output: PeerOutput;
  #connecting: Promise<PeerSession> | undefined;
  #session: PeerSession | undefined;
  #end: SessionEnd | undefined;
  #writer: ChangeWriter | undefined;
  #comparison: HashConversation | undefined;
  #waitsForOthers = false;
  #sendsData = false;

  constructor(shipment: SendJob) {
    const { set, index, command, context } = shipment;
    this.#shipment = shipment;
    const host = hostName(command.destination);
    this.name = set.count === 1 ? host : `${host} (stream ${index} of ${set.count})`;
    // The first stream lends the set its id.
    this.#streamId = index === 1 ? set.place(index).setId : newStreamId();
    this.#output = new PeerOutput(context.reporter, Buffer.from(this.#streamId).toString('hex'));
  }

  /** False only where it is certain that the receiver did not open the destination. */
  get mayHaveOpened(): boolean {
    const { ready, result, lastLines } = this.#output;
    if (ready) return true;
    const exit = this.#session?.exit;
    if (exit === undefined) return false;
    // An ssh without a connection has read nothing.
    if (this.#end !== undefined && this.#sentBytes <= this.#end.unreadBytes) return false;
    const { remote } = this.#shipment.command;
    return mayHaveRun({ exit, remote, result, lastLines }) && result?.kind !== 'failed';
  }

  /** The input that was compressed so far; undefined without a compression. */
  get packed(): Packed | undefined {
    return this.#writer?.packed;
  }

  /** Throws unless the receiver took everything and ended well. To be called once. */
  async run(): Promise<{ readonly verified: boolean }> {
    this.#connecting = this.#connect();
    const session = await this.#connecting;
    this.#session = session;
    const sent = await this.#send(session);
    this.#end = await session.close();
    return this.#conclude(this.#end, sent);
  }

  /** Resolves when the connection stands, has failed, or takes long. To be called after run. */
  async loggedIn(): Promise<void> {
    const session = await this.#connecting?.catch(() => undefined);
    const late = sleep(LOGIN_PATIENCE_MS, undefined, { ref: false });
    await session?.hears(Promise.race([this.#output.features, late]));
  }

  async #connect(): Promise<PeerSession> {
    const { command, context } = this.#shipment;
    const streamId = Buffer.from(this.#streamId).toString('hex');
    const onLine: OnLine = (line, stream) => {
      const rest = stream === 'stdout' ? withoutHashes(line, streamId, this.#comparison) : line;
      if (rest !== undefined) this.#output.take(rest, stream);
    };
    const { destination, remote } = command;
    const args = receiverArguments(command);
    const request = { host: destination.host, remote, args, onLine, streamId };
    return new PeerSession(await connect(request, context));
  }

  /** Writes the whole stream, or as much of it as the peer takes. Never rejects. */
  async #send(session: PeerSession): Promise<Sent> {
    const { set } = this.#shipment;
    const { signal } = set;
    const cancel = (): void => this.#writer?.cancel();
    session.guard(this.#guard(session));
    const forgetWriter = cancelSoonAfter(signal, cancel);
    // Once it has ended nobody reads the pipe, though a process it left behind may hold it open.
    void session.exited.then(cancel);
    void this.#output.concluded.then(() =>
      session.endSoon(this.#isConfirmedTurn ? CLEARING_MS : LINGER_MS),
    );
    try {
      return { kind: 'all', totals: await this.#writeStream(session) };
    } catch (thrown) {
      const isOfPeer = isNativeError(thrown) || thrown instanceof PeerEnded;
      if (isOfPeer && !signal.aborted) return { kind: 'refused' };
      // A stream that was cancelled has not failed: it was stopped.
      const error = isOfPeer ? interrupted(signal) : thrown;
      set.fail(error);
      if (thrown instanceof LvmsyncError) await this.#sayWhy(thrown);
      return { kind: 'failed', error };
    } finally {
      this.#sendsData = false;
      forgetWriter();
    }
  }

  #writeStream(session: PeerSession): Promise<StreamTotals> {
    const { source, part, command, context, set, index, pace } = this.#shipment;
    const { onProgress, endFlags } = this.#shipment;
    const { inputFd, exited } = session;
    const { features, speaks } = this.#output;
    const peer = { inputFd, features, speaks, exited };
    return writeWireStream({
      ...{ source, part, command, pace, peer, onProgress, endFlags },
      place: set.place(index),
      streamId: this.#streamId,
      signal: set.signal,
      onWriter: (writer) => {
        this.#writer = writer;
        if (session.exit !== undefined) writer.cancel();
      },
      onCompression: () =>
        context.reporter.verbose('the link limits the run: compressing from here (LZ4)'),
      onComparison: (writer, features) => this.#compare(session, writer, features),
      beforeData: async () => {
        if (await set.ready(peer)) await this.#waitForOthers(() => set.allReady(peer));
        this.#sendsData = command.compare === undefined;
      },
      beforeEnd: () => {
        this.#sendsData = false;
        return this.#waitForOthers(() => set.allSent(peer));
      },
    });
  }

  async #compare(
    session: PeerSession,
    writer: ChangeWriter,
    features: readonly string[],
  ): Promise<Found> {
    const { source, set, onCompared, onFound } = this.#shipment;
    const conversation = converse({ host: this.name, session, writer, features });
    this.#comparison = conversation;
    const { signal } = set;
    const job = { source, conversation, signal, onProgress: onCompared };
    const found = await findChanges(job);
    this.#comparison = undefined;
    onFound(found.extents.totalBytes + found.tail.totalBytes);
    this.#sendsData = true;
    return found;
  }

  /** A stream whose receiver has ended does not count as one that has come so far. */
  async #waitForOthers(wait: () => Promise<void>): Promise<void> {
    if (this.#session?.exit !== undefined) return;
    this.#waitsForOthers = true;
    await wait();
    this.#waitsForOthers = false;
  }

  #guard({ inputFd }: PeerSession): Guard {
    const { context, set } = this.#shipment;
    return {
      host: this.name,
      reporter: context.reporter,
      signal: set.signal,
      patienceMs: LAST_PATIENCE_MS,
      progress: () => {
        // Whoever waits for another stream, or for the source, has not stalled.
        const reads = this.#sendsData || this.#comparison?.isIdle === true;
        const isIdle = reads && native.unreadBytes(inputFd) === 0;
        return this.#waitsForOthers || isIdle ? performance.now() : this.#moved;
      },
      limitSeconds: this.#shipment.command.remote.timeoutSeconds ?? LIMITS.stream,
    };
  }

  /** Grows with what the receiver takes, and while it says that it is at work. */
  get #moved(): number {
    return this.#sentBytes + this.#output.signsOfLife + (this.#comparison?.answers ?? 0);
  }

  /** Into the pipe. */
  get #sentBytes(): number {
    return this.#writer?.takenBytes ?? 0;
  }

  /** A turn of a chain is complete then, whatever becomes of the receiver, which removes old links. */
  get #isConfirmedTurn(): boolean {
    return this.#shipment.command.chain !== undefined && this.#output.result?.kind === 'done';
  }

  /** The receiver learns that the stream will not be whole; if even that fails, it sees a cut. */
  async #sayWhy({ exitStatus, message }: LvmsyncError): Promise<void> {
    // A receiver that answers requests takes no frames.
    if (this.#comparison !== undefined) return;
    await this.#writer?.abort({ exitStatus, message }).catch((error: unknown) => {
      if (!isNativeError(error)) throw error;
    });
  }

  #conclude(end: SessionEnd, sent: Sent): { readonly verified: boolean } {
    const { signal } = this.#shipment.set;
    const { format, remote, chain } = this.#shipment.command;
    this.#output.end();
    if (signal.aborted) throw interrupted(signal);
    if (sent.kind === 'failed') throw sent.error;
    if (end.lateAfter !== undefined) throw this.#timeout(end.lateAfter);
    return judge({
      host: this.name,
      remote,
      exit: end.exit,
      sentAll: sent.kind === 'all',
      unreadBytes: end.unreadBytes,
      ready: this.#output.ready,
      result: this.#output.result,
      sent: sent.kind === 'all' ? countsOf(sent.totals) : { records: 0, bytes: 0, digest: '' },
      lastLines: this.#output.lastLines,
      unseenLines: this.#output.unseenLines,
      requireAck: remote.requireAck,
      classic: format === 'classic',
      isTurn: chain !== undefined,
      wasCut: end.wasCut,
    });
  }

  #timeout(seconds: number): LvmsyncError {
    const { host } = this.#shipment.command.destination;
    if (!this.mayHaveOpened) return noAnswer({ host, name: this.name }, seconds);
    const message = `${this.name}: nothing moved for ${seconds} s: given up`;
    return new LvmsyncError('transport', message);
  }
}

function countsOf({ records, bytes, digest }: StreamTotals): {
  records: number;
  bytes: number;
  digest: string;
} {
  return { records, bytes, digest: Buffer.from(digest).toString('hex') };
}

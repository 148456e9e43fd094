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
import { connect } from './connect.js';
import { hostName } from './destination-name.js';
import { closeInput, endSoon, type OnLine, type Peer, type PeerExit } from './peer.js';
import { PeerOutput } from './peer-output.js';
import { judge, mayHaveRun } from './peer-verdict.js';
import { receiverArguments } from './remote-command.js';
import type { SendRequest } from './request.js';
import { LIMITS, watchForStall } from './stall-watch.js';
import type { Part } from './stream-parts.js';
import type { StreamSet } from './stream-set.js';
import { writeWireStream } from './wire-stream.js';

/** After a signal a receiver may flush what it has; one that does not end then is ended. Milliseconds. */
const LAST_PATIENCE_MS = 8000;
/** Of a receiver that has told how it ended, until its connection ends. Milliseconds. */
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
  readonly endFlags: () => Promise<{ readonly sourceChanged: boolean }>;
}

/** What became of the stream: all of it was written, the peer stopped taking it, or we gave up. */
type Sent =
  | { readonly kind: 'all'; readonly totals: StreamTotals }
  | { readonly kind: 'refused' }
  | { readonly kind: 'failed'; readonly error: unknown };

export class StreamSender {
  /** As messages call the other side. */
  readonly name: string;
  readonly #shipment: SendJob;
  readonly #streamId: Uint8Array;
  readonly #output: PeerOutput;
  #connecting: Promise<Peer> | undefined;
  #exit: PeerExit | undefined;
  #writer: ChangeWriter | undefined;
  #timedOut = false;
  #end: { readonly wasCut: boolean } | undefined;
  #waitsForOthers = false;
  #sendsData = false;
  #unreadBytes = 0;

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
    if (this.#exit === undefined) return false;
    return mayHaveRun(this.#exit, lastLines) && result?.kind !== 'failed';
  }

  /** What was compressed so far; undefined without a compression. */
  get packed(): Packed | undefined {
    return this.#writer?.packed;
  }

  /** Throws unless the receiver took everything and ended well. To be called once. */
  async run(): Promise<{ readonly verified: boolean }> {
    this.#connecting = this.#connect();
    const peer = await this.#connecting;
    const sent = await this.#send(peer);
    return this.#conclude(peer, sent);
  }

  /** Resolves when the connection stands, has failed, or takes long. To be called after run. */
  async loggedIn(): Promise<void> {
    const peer = await this.#connecting?.catch(() => undefined);
    if (peer === undefined) return;
    const late = sleep(LOGIN_PATIENCE_MS, undefined, { ref: false });
    await Promise.race([this.#output.features, peer.exited, late]);
  }

  #connect(): Promise<Peer> {
    const { command, context } = this.#shipment;
    const onLine: OnLine = (line, stream) => this.#output.take(line, stream);
    const { destination, remote } = command;
    const words = receiverArguments(command);
    return connect({ host: destination.host, remote, words, onLine }, context);
  }

  /** Writes the whole stream, or as much of it as the peer takes. Never rejects. */
  async #send(peer: Peer): Promise<Sent> {
    const { set } = this.#shipment;
    const { signal } = set;
    const cancel = (): void => this.#writer?.cancel();
    const stopWatch = this.#watch(peer);
    const forgetWriter = cancelSoonAfter(signal, cancel);
    const forgetPeer = cancelSoonAfter(signal, () => peer.kill(), LAST_PATIENCE_MS);
    // Once it has ended nobody reads the pipe, though a process it left behind may hold it open.
    void peer.exited.then((exit) => {
      this.#exit = exit;
      cancel();
    });
    void this.#output.concluded.then(() => {
      this.#end = endSoon(peer, this.#isConfirmedTurn ? CLEARING_MS : LINGER_MS);
    });
    try {
      return { kind: 'all', totals: await this.#writeStream(peer) };
    } catch (thrown) {
      if (isNativeError(thrown) && !signal.aborted) return { kind: 'refused' };
      // A stream that was cancelled has not failed: it was stopped.
      const error = isNativeError(thrown) ? interrupted(signal) : thrown;
      set.fail(error);
      if (thrown instanceof LvmsyncError) await this.#sayWhy(thrown);
      return { kind: 'failed', error };
    } finally {
      this.#sendsData = false;
      forgetWriter();
      this.#unreadBytes = await closeInput(peer);
      forgetPeer();
      stopWatch();
    }
  }

  #writeStream({ inputFd, exited }: Peer): Promise<StreamTotals> {
    const { source, part, command, context, set, index, pace } = this.#shipment;
    const { onProgress, endFlags } = this.#shipment;
    const peer = { inputFd, features: this.#output.features, exited };
    return writeWireStream({
      ...{ source, part, command, pace, peer, onProgress, endFlags },
      place: set.place(index),
      streamId: this.#streamId,
      signal: set.signal,
      onWriter: (writer) => {
        this.#writer = writer;
        if (this.#exit !== undefined) writer.cancel();
      },
      onCompression: () =>
        context.reporter.verbose('the link holds the run up: compressing from here (LZ4)'),
      beforeData: async () => {
        if (await set.ready(peer)) await this.#waitForOthers(() => set.allReady(peer));
        this.#sendsData = true;
      },
      beforeEnd: () => {
        this.#sendsData = false;
        return this.#waitForOthers(() => set.allSent(peer));
      },
    });
  }

  /** A stream whose receiver has ended does not count as one that has come so far. */
  async #waitForOthers(wait: () => Promise<void>): Promise<void> {
    if (this.#exit !== undefined) return;
    this.#waitsForOthers = true;
    await wait();
    this.#waitsForOthers = false;
  }

  #watch(peer: Peer): () => void {
    const { context } = this.#shipment;
    return watchForStall({
      host: this.name,
      reporter: context.reporter,
      progress: () => {
        // Who waits for another stream, or for the source, or has had its say, has not stalled.
        const isIdle = this.#sendsData && native.unreadBytes(peer.inputFd) === 0;
        const mayRest = this.#waitsForOthers || isIdle || this.#end !== undefined;
        return mayRest ? performance.now() : this.#moved;
      },
      limitSeconds: this.#limitSeconds,
      onTimeout: () => {
        this.#timedOut = true;
        peer.kill();
      },
    });
  }

  get #limitSeconds(): number {
    return this.#shipment.command.remote.timeoutSeconds ?? LIMITS.stream;
  }

  /** Grows with what the receiver takes, and while it says that it is at work. */
  get #moved(): number {
    return (this.#writer?.takenBytes ?? 0) + this.#output.signsOfLife;
  }

  /** A turn of a chain is complete then, whatever becomes of the receiver, which removes old links. */
  get #isConfirmedTurn(): boolean {
    return this.#shipment.command.chain !== undefined && this.#output.result?.kind === 'done';
  }

  /** The receiver learns that the stream will not be whole; if even that fails, it sees a cut. */
  async #sayWhy({ exitStatus, message }: LvmsyncError): Promise<void> {
    await this.#writer?.abort({ exitStatus, message }).catch((error: unknown) => {
      if (!isNativeError(error)) throw error;
    });
  }

  async #conclude(peer: Peer, sent: Sent): Promise<{ readonly verified: boolean }> {
    const { signal } = this.#shipment.set;
    const { format, remote, chain } = this.#shipment.command;
    const exit = await peer.exited;
    this.#output.end();
    if (signal.aborted) throw interrupted(signal);
    if (sent.kind === 'failed') throw sent.error;
    if (this.#timedOut) throw this.#timeout();
    return judge({
      host: this.name,
      exit,
      sentAll: sent.kind === 'all',
      unreadBytes: this.#unreadBytes,
      ready: this.#output.ready,
      result: this.#output.result,
      sent: sent.kind === 'all' ? countsOf(sent.totals) : { records: 0, bytes: 0, digest: '' },
      lastLines: this.#output.lastLines,
      requireAck: remote.requireAck,
      classic: format === 'classic',
      isTurn: chain !== undefined,
      wasCut: this.#end?.wasCut === true,
    });
  }

  #timeout(): LvmsyncError {
    const message = `${this.name}: nothing moved for ${this.#limitSeconds} seconds: given up`;
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

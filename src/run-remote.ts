/** `lvmsync SNAPSHOT HOST:DESTINATION`: the changes go to a receiver on another host. */

import { type ChangeWriter, newStreamId } from './change-writer.js';
import { type ErrorContext, LvmsyncError } from './errors.js';
import { isNativeError, type StreamTotals } from './native.js';
import type { SyncCommand } from './options.js';
import { PeerOutput } from './peer-output.js';
import { judge, mayHaveRun } from './peer-verdict.js';
import { receiverWords, transportArgv, undoCommand } from './remote-command.js';
import { cancelSoonAfter, describeFailure, interrupted, type RunContext } from './run-context.js';
import type { Source } from './source.js';
import { watchForStall } from './stall-watch.js';
import { closeInput, connectCommand, type OnLine, type Peer, type PeerExit } from './transport.js';
import { writeWireStream } from './wire-stream.js';

/** After a signal a receiver may flush what it has; one that does not end then is ended. Milliseconds. */
const LAST_PATIENCE_MS = 8000;

/** Resolves when the receiver has confirmed everything, or, an old one, ended with status 0. */
export async function sendTo(
  source: Source,
  command: SyncCommand,
  context: RunContext,
): Promise<void> {
  const sending = await Sending.connect(source, command, context);
  const started = performance.now();
  const sent = await sending.send();
  const { verified } = await sending.conclude(sent);
  const { reporter } = context;
  if (!verified) {
    reporter.warn(
      `${sending.host}: the receiver does not confirm what it wrote; only its exit status says that all is well`,
    );
  }
  const seconds = (performance.now() - started) / 1000;
  const bytes = source.extents.totalBytes;
  reporter.transferred({ bytes, seconds, sourceSize: source.device.size });
}

const NOT_BEGUN: ErrorContext = { state: 'Nothing was written there.' };

/** What became of the stream: all of it was written, the peer stopped taking it, or we gave up. */
type Sent =
  | { readonly kind: 'all'; readonly totals: StreamTotals }
  | { readonly kind: 'refused' }
  | { readonly kind: 'failed'; readonly error: unknown };

class Sending {
  readonly host: string;
  readonly #source: Source;
  readonly #command: SyncCommand;
  readonly #context: RunContext;
  readonly #streamId = newStreamId();
  readonly #output: PeerOutput;
  readonly #peer: Promise<Peer>;
  #writer: ChangeWriter | undefined;
  #timedOut = false;
  #peerEnded = false;
  #unreadBytes = 0;

  private constructor(source: Source, command: SyncCommand, context: RunContext, host: string) {
    this.host = host;
    this.#source = source;
    this.#command = command;
    this.#context = context;
    this.#output = new PeerOutput(context.reporter, Buffer.from(this.#streamId).toString('hex'));
    this.#peer = this.#connect();
  }

  static async connect(
    source: Source,
    command: SyncCommand,
    context: RunContext,
  ): Promise<Sending> {
    const sending = new Sending(source, command, context, command.destination.host ?? '');
    try {
      await sending.#peer;
    } catch (error) {
      throw describeFailure(error, NOT_BEGUN);
    }
    return sending;
  }

  async #connect(): Promise<Peer> {
    const { remote } = this.#command;
    const onLine: OnLine = (line, stream) => this.#output.take(line, stream);
    if (remote.transport === 'ssh2') {
      const { connectSsh2 } = await import('./ssh2-transport.js');
      return connectSsh2({
        host: this.host,
        words: receiverWords(this.#command),
        onLine,
        agentSocket: this.#context.agentSocket,
      });
    }
    const argv = transportArgv(this.#command, this.host);
    this.#context.reporter.verbose(`running: ${argv.join(' ')}`);
    return connectCommand(argv, onLine);
  }

  /** Writes the whole stream, or as much of it as the peer takes. Never rejects. */
  async send(): Promise<Sent> {
    const peer = await this.#peer;
    const { signal } = this.#context;
    const cancel = (): void => this.#writer?.cancel();
    const stopWatch = this.#watch(peer);
    const forgetWriter = cancelSoonAfter(signal, cancel);
    const forgetPeer = cancelSoonAfter(signal, () => peer.kill(), LAST_PATIENCE_MS);
    // Once it has ended nobody reads the pipe, though a process it left behind may hold it open.
    void peer.exited.then(() => {
      this.#peerEnded = true;
      cancel();
    });
    try {
      return { kind: 'all', totals: await this.#writeStream(peer) };
    } catch (error) {
      if (isNativeError(error) && !signal.aborted) return { kind: 'refused' };
      if (error instanceof LvmsyncError) await this.#sayWhy(error);
      return { kind: 'failed', error };
    } finally {
      forgetWriter();
      this.#unreadBytes = await closeInput(peer);
      forgetPeer();
      stopWatch();
    }
  }

  #writeStream(peer: Peer): Promise<StreamTotals> {
    const { features } = this.#output;
    return writeWireStream({
      source: this.#source,
      command: this.#command,
      context: this.#context,
      streamId: this.#streamId,
      peer: { inputFd: peer.inputFd, features, exited: peer.exited },
      onWriter: (writer) => {
        this.#writer = writer;
        if (this.#peerEnded) writer.cancel();
      },
    });
  }

  #watch(peer: Peer): () => void {
    return watchForStall({
      host: this.host,
      reporter: this.#context.reporter,
      progress: () => this.#writer?.takenBytes ?? 0,
      timeoutSeconds: this.#command.remote.timeoutSeconds,
      onTimeout: () => {
        this.#timedOut = true;
        peer.kill();
      },
    });
  }

  /** The receiver learns that the stream will not be whole; if even that fails, it sees a cut. */
  async #sayWhy({ exitStatus, message }: LvmsyncError): Promise<void> {
    await this.#writer?.abort({ exitStatus, message }).catch((error: unknown) => {
      if (!isNativeError(error)) throw error;
    });
  }

  /** Throws unless the peer took everything and ended well. */
  async conclude(sent: Sent): Promise<{ readonly verified: boolean }> {
    const { signal } = this.#context;
    const exit = await (await this.#peer).exited;
    this.#output.end();
    const context = this.#whatWasLeft(exit);
    if (signal.aborted) throw interrupted(signal, context);
    if (sent.kind === 'failed') throw describeFailure(sent.error, context);
    if (this.#timedOut) throw new LvmsyncError('transport', this.#timeoutText(), context);
    try {
      return judge({
        host: this.host,
        exit,
        sentAll: sent.kind === 'all',
        unreadBytes: this.#unreadBytes,
        ready: this.#output.ready,
        result: this.#output.result,
        sent: sent.kind === 'all' ? countsOf(sent.totals) : { records: 0, bytes: 0, digest: '' },
        lastLines: this.#output.lastLines,
        requireAck: this.#command.remote.requireAck,
        classic: this.#command.format === 'classic',
      });
    } catch (error) {
      throw describeFailure(error, context);
    }
  }

  #timeoutText(): string {
    const { timeoutSeconds } = this.#command.remote;
    return `${this.host}: nothing moved for ${timeoutSeconds} seconds: given up`;
  }

  #whatWasLeft(exit: PeerExit): ErrorContext {
    const { path } = this.#command.destination;
    const { result, ready, lastLines } = this.#output;
    if (!ready && (!mayHaveRun(exit, lastLines) || result?.kind === 'failed')) return NOT_BEGUN;
    const { snapback } = this.#command;
    const again = 'Run the same command again to complete it';
    return {
      state: `${this.host}:${path} may be incomplete.`,
      hint:
        snapback === undefined
          ? `${again}.`
          : `${again}, with another snapback name, or go back there with: ${undoCommand(snapback.path, path)}`,
    };
  }
}

function countsOf({ records, bytes, digest }: StreamTotals): {
  records: number;
  bytes: number;
  digest: string;
} {
  return { records, bytes, digest: Buffer.from(digest).toString('hex') };
}

/** One conversation with a peer: watched while it lasts, and closed once. */

import { type NativeRecordWriter, native } from '../host/native.js';
import { cancelSoonAfter } from '../run/interruption.js';
import type { Reporter } from '../run/reporter.js';
import { newStreamId } from '../stream/change-writer.js';
import { closeInput, type Peer, type PeerExit } from './peer.js';
import { watchForStall } from './stall-watch.js';

/** A peer that has said all that it has to say may take so long to end. Milliseconds. */
const LINGER_MS = 3000;

/** The reasons to end a peer that does not end by itself. */
export interface Guard {
  /** As messages call the peer. */
  readonly host: string;
  readonly reporter: Reporter;
  /** Its abort ends the peer, after `patienceMs` (default: at once). */
  readonly signal: AbortSignal;
  readonly patienceMs?: number;
  /** A count that grows while things move. */
  readonly progress: () => number;
  /** Seconds without progress after which the peer is ended. */
  readonly limitSeconds: number;
}

export interface SessionEnd {
  readonly exit: PeerExit;
  /** Bytes that were written to the peer and that it never read. */
  readonly unreadBytes: number;
  /** It had said its last word and did not end, so that it was ended. */
  readonly wasCut: boolean;
  /** It was ended because nothing moved for so many seconds. */
  readonly lateAfter: number | undefined;
}

export class PeerSession {
  readonly #peer: Peer;
  #exit: PeerExit | undefined;
  #lateAfter: number | undefined;
  #hasSaidAll = false;
  #wasCut = false;
  #closing: Promise<SessionEnd> | undefined;
  readonly #guards: (() => void)[] = [];

  /** Takes the peer over: whoever opens the session has to close it. */
  constructor(peer: Peer) {
    this.#peer = peer;
    void peer.exited.then((exit) => {
      this.#exit = exit;
    });
  }

  get inputFd(): number {
    return this.#peer.inputFd;
  }

  get exited(): Promise<PeerExit> {
    return this.#peer.exited;
  }

  /** Undefined until the peer has ended. */
  get exit(): PeerExit | undefined {
    return this.#exit;
  }

  get lateAfter(): number | undefined {
    return this.#lateAfter;
  }

  get wasCut(): boolean {
    return this.#wasCut;
  }

  /** Watches the peer until the session is closed, or the returned function is called. */
  guard({ signal, patienceMs = 0, limitSeconds, host, reporter, ...guard }: Guard): () => void {
    const forgetAbort = cancelSoonAfter(signal, () => this.kill(), patienceMs);
    // endSoon has a limit of its own.
    const progress = (): number => (this.#hasSaidAll ? performance.now() : guard.progress());
    const onTimeout = (): void => {
      this.#lateAfter = limitSeconds;
      this.kill();
    };
    const forgetStall = watchForStall({ host, reporter, progress, limitSeconds, onTimeout });
    const stop = (): void => {
      forgetAbort();
      forgetStall();
    };
    this.#guards.push(stop);
    return stop;
  }

  /** Whether `word` resolves before the peer ends. Never rejects unless `word` does. */
  hears(word: Promise<unknown>): Promise<boolean> {
    return Promise.race([word.then(() => true), this.exited.then(() => false)]);
  }

  /** A writer of its input, which the end of the peer cancels: nobody reads the pipe then. */
  openWriter(streamId: Uint8Array = newStreamId()): NativeRecordWriter {
    const writer = new native.RecordWriter(this.inputFd, streamId);
    void this.exited.then(() => writer.cancel());
    return writer;
  }

  /**
   * To be called when the last word of the peer has come. What its login left behind may hold the
   * connection open for ever; then it is cut.
   */
  endSoon(patienceMs = LINGER_MS): void {
    this.#hasSaidAll = true;
    const timer = setTimeout(() => {
      this.#wasCut = true;
      this.kill();
    }, patienceMs);
    void this.exited.then(() => clearTimeout(timer));
  }

  kill(): void {
    this.#peer.kill();
  }

  /** Closes the input and waits for the peer's end. To be called when nothing is being written any more. */
  close(): Promise<SessionEnd> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<SessionEnd> {
    try {
      const unreadBytes = await closeInput(this.#peer);
      const exit = await this.exited;
      return { exit, unreadBytes, wasCut: this.#wasCut, lateAfter: this.#lateAfter };
    } finally {
      for (const stop of this.#guards) stop();
    }
  }
}

/** The last lines that a peer printed, for the message after a failure: few, each cut, the newest last. */
export class LastLines {
  readonly #lines: string[] = [];
  readonly #length: number;

  /** `length`: characters that are kept of a line. */
  constructor(length: number) {
    this.#length = length;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  push(line: string): void {
    this.#lines.push(line.slice(0, this.#length));
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
  }
}

const KEPT_LINES = 4;

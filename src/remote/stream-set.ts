/**
 * The rules that hold the streams of one run together: none sends data before all receivers are ready, none
 * ends before all have sent their data, and the first that fails stops the others.
 */

import { setMaxListeners } from 'node:events';
import { LvmsyncError } from '../base/errors.js';
import type { StreamPosition } from '../stream/control-frame.js';

/** The needs of a stream from its receiver. */
export interface SetMember {
  /** The features that it reported, if it did; an old one never does. */
  readonly features: Promise<readonly string[]>;
  /** Resolves with its first word, also that it is at work. */
  readonly speaks?: Promise<void>;
  readonly exited: Promise<unknown>;
}

export interface StreamSetRules {
  /** As the user named it. */
  readonly host: string;
  readonly setId: Uint8Array;
  readonly count: number;
  /** Aborted by a signal to the run. */
  readonly signal: AbortSignal;
  /** A classic stream has no frames, and its receiver nothing to answer. */
  readonly answers: boolean;
  /** No data before every receiver has said that it is ready: each has a snapback to make first. */
  readonly needsReady: boolean;
  /** Seconds without progress after which the run is given up. */
  readonly timeoutSeconds: number | undefined;
  /** Called once if the receivers are taken for old ones. */
  readonly onSilence: () => void;
  /** Milliseconds that all receivers may be silent; given by tests. */
  readonly patience?: number;
}

/** Logins take seconds at times, and an old receiver says nothing at all. */
const PATIENCE_MS = 15_000;
/** Where silence ends the run, it may last this many times longer. */
const STRICT_FACTOR = 4;

/** A run with a single stream has one, too: it never waits. */
export class StreamSet {
  readonly count: number;
  /** Aborted when the run is to stop, by a signal or by a failure: then that is the reason. */
  readonly signal: AbortSignal;
  readonly #rules: StreamSetRules;
  readonly #stop = new AbortController();
  readonly #stopped: Promise<void>;
  readonly #allReady: Barrier;
  readonly #allSent: Barrier;
  #anySpoke = false;
  #toldSilence = false;
  #failure: unknown;

  constructor(rules: StreamSetRules) {
    const { count, signal } = rules;
    this.#rules = rules;
    this.count = count;
    this.signal = this.#stop.signal;
    // Each stream listens, and none for longer than the run.
    setMaxListeners(0, this.signal);
    const stop = (): void => this.#stop.abort(signal.reason);
    this.#stopped = new Promise((resolve) => {
      this.signal.addEventListener('abort', () => resolve());
    });
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
    this.#allReady = new Barrier(count);
    this.#allSent = new Barrier(count);
  }

  place(streamIndex: number): StreamPosition {
    return { setId: this.#rules.setId, streamIndex, streamCount: this.count };
  }

  /** The first failure; undefined as long as there is none. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Whether any stream may have sent data. */
  get mayHaveSentData(): boolean {
    return !this.#waitsForReady || this.#allReady.isComplete;
  }

  /** Stops the other streams, if this is the first failure. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    if (this.count > 1) this.#stop.abort(reasonFor(error));
  }

  /**
   * Resolves with true when the receiver has said that it is ready, or is taken for an old one; with
   * false when it has ended, or the run is to stop.
   */
  async ready({ features, speaks, exited }: SetMember): Promise<boolean> {
    if (!this.#waitsForReady) return true;
    // It may have much to read before it is ready.
    void speaks?.then(() => {
      this.#anySpoke = true;
    });
    const { needsReady } = this.#rules;
    const told = features.then(() => {
      this.#anySpoke = true;
      return true;
    });
    const ended = Promise.race([exited, this.#stopped]).then(() => false);
    const outcome = Promise.race([told, ended]);
    const limit = needsReady ? this.#patience * STRICT_FACTOR : this.#patience;
    const early = await within(limit, outcome);
    if (early !== undefined) return early;
    // All run the same program: where one has said a word, the others will.
    if (this.#anySpoke) return outcome;
    this.#endureSilence();
    return true;
  }

  /** Milliseconds. An old receiver is known as one before its silence could be taken for a stall. */
  get #patience(): number {
    const { patience = PATIENCE_MS, timeoutSeconds = Infinity } = this.#rules;
    return Math.min(patience, timeoutSeconds * 500);
  }

  #endureSilence(): void {
    const { host, needsReady, onSilence } = this.#rules;
    if (needsReady) {
      throw new LvmsyncError('transport', `${host}: no receiver reported "ready"`, {
        hint: 'An old lvmsync never does: use --format=classic for it.',
      });
    }
    if (!this.#toldSilence) onSilence();
    this.#toldSilence = true;
  }

  /**
   * To be called where this stream's receiver is ready. Resolves when all are. This wait and the one
   * below end early when the receiver has ended or the run is to stop.
   */
  async allReady({ exited }: SetMember): Promise<void> {
    if (!this.#waitsForReady) return;
    await Promise.race([this.#allReady.attend(), exited, this.#stopped]);
  }

  /** Resolves when all streams have sent their data. */
  async allSent({ exited }: SetMember): Promise<void> {
    if (this.count === 1) return;
    await Promise.race([this.#allSent.attend(), exited, this.#stopped]);
  }

  get #waitsForReady(): boolean {
    return this.count > 1 && this.#rules.answers;
  }
}

/** Undefined if it takes longer than so many milliseconds. */
async function within<T>(limit: number, outcome: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, limit, undefined);
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The reason that the other receivers get, and their streams end with. */
function reasonFor(error: unknown): LvmsyncError {
  if (error instanceof LvmsyncError) return error;
  return new LvmsyncError('usage', 'another stream of this run failed', { cause: error });
}

/** Begins when everybody is there. */
class Barrier {
  #missing: number;
  #begin: () => void = () => undefined;
  readonly #begun = new Promise<void>((resolve) => {
    this.#begin = resolve;
  });

  constructor(members: number) {
    this.#missing = members;
  }

  get isComplete(): boolean {
    return this.#missing <= 0;
  }

  attend(): Promise<void> {
    this.#missing--;
    if (this.isComplete) this.#begin();
    return this.#begun;
  }
}

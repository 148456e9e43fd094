/** The asking side of the lines of hashes: which blocks, and the answers to each request in its order. */

import { LvmsyncError } from '../base/errors.js';
import type { Writes } from '../device/write-watch.js';
import type { Operations } from '../host/native.js';
import type { BlockHashes } from '../pipeline/block-hashes.js';
import {
  formatHashRequest,
  HASH_SIZE,
  type HashAnswer,
  hashAnswerStart,
  parseHashAnswer,
} from '../stream/hash-lines.js';

interface Waiting {
  readonly number: number;
  /** Bytes that the answer has to have. */
  readonly size: number;
  readonly resolve: (hashes: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

export interface HashPeer {
  readonly host: string;
  /** In hexadecimal. */
  readonly session: string;
  /** Resolves when the bytes, which stay as they are, are on their way. May reject once the peer takes no more. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** Called once, before those that wait are rejected. */
  readonly onFailure: () => void;
}

/** One failure is the failure of all that wait. */
export class HashConversation implements BlockHashes {
  readonly #peer: HashPeer;
  readonly #waiting: Waiting[] = [];
  readonly #ready = new Deferred<number>();
  readonly #done = new Deferred<Writes>();
  #sending: Promise<void> = Promise.resolve();
  #requests = 0;
  #answers = 0;
  #isReady = false;
  #ended = false;
  #failure: unknown;

  constructor(peer: HashPeer) {
    this.#peer = peer;
  }

  /** Resolves with the size of the destination, in bytes, when the program there has it open. */
  begin(): Promise<number> {
    this.#send(formatHashRequest({ kind: 'hello', session: this.#peer.session }));
    return this.#ready.promise;
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

  /** To be called when everything was asked. `bytes`: how much will be sent, where that follows. Resolves with what others wrote to the destination since it was opened. */
  end(bytes?: number): Promise<Writes> {
    this.#ended = true;
    this.#send(formatHashRequest({ kind: 'end', requests: this.#requests, bytes }));
    return this.#done.promise;
  }

  /** Resolves when nothing is being written: the descriptor must not be closed under a write. */
  get sent(): Promise<void> {
    return this.#sending;
  }

  get ready(): Promise<number> {
    return this.#ready.promise;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get isDone(): boolean {
    return this.#done.isResolved;
  }

  get failure(): unknown {
    return this.#failure;
  }

  /** How many answers have come. */
  get answers(): number {
    return this.#answers;
  }

  /** Nothing is to be expected of the peer. False after a failure: its end is. */
  get isIdle(): boolean {
    const isOver = this.#ended || this.#failure !== undefined;
    return this.#isReady && !isOver && this.#waiting.length === 0;
  }

  /** Takes what belongs to it of a line that the peer printed; returns the rest, undefined for nothing. */
  take(line: string): string | undefined {
    const { session } = this.#peer;
    const start = hashAnswerStart(line, session);
    if (start < 0) return line;
    const rest = start === 0 ? undefined : line.slice(0, start);
    const answer = parseHashAnswer(line.slice(start), session);
    if (answer === undefined || this.#failure !== undefined) return rest;
    this.#answers++;
    if (answer.kind === 'garbled' || !this.#accept(answer)) this.fail(unreadable(this.#peer.host));
    return rest;
  }

  /** The first failure counts. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#peer.onFailure();
    this.#ready.reject(error);
    this.#done.reject(error);
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  /** One line after the other; if the peer takes no more, its end shows that. */
  #send(line: string): void {
    const bytes = Buffer.from(line);
    this.#sending = this.#sending
      .then(() => (this.#failure === undefined ? this.#peer.write(bytes) : undefined))
      .catch(() => undefined);
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

/** The rest of a line of a receiver; undefined for nothing. Hashes that nobody asked for are no words to be shown. */
export function withoutHashes(
  line: string,
  session: string,
  conversation: HashConversation | undefined,
): string | undefined {
  if (conversation !== undefined) return conversation.take(line);
  return hashAnswerStart(line, session) < 0 ? line : undefined;
}

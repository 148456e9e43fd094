/** The output of a peer: shown to the person, kept for a failure, and searched for its answers. */

import { EXIT } from '../base/errors.js';
import type { Reporter } from '../run/reporter.js';
import {
  type Answer,
  cutNoise,
  type Done,
  type Failed,
  type Garbled,
  parseAnswer,
} from '../stream/answer-lines.js';
import type { PeerStream } from './peer.js';
import { LastLines } from './peer-session.js';

/** Characters that are kept of each line for the message after a failure. */
const KEPT_LENGTH = 400;
/** Lines shown in one second: a peer that floods must not hold us up. */
const LINES_PER_SECOND = 200;

const UNREADABLE = {
  kind: 'failed',
  exitStatus: EXIT.transport,
  message: 'the answer of the receiver cannot be read',
} as const;

export class PeerOutput {
  readonly #reporter: Reporter;
  readonly #streamId: string;
  readonly #now: () => number;
  readonly #lastLines = new LastLines(KEPT_LENGTH);
  readonly #unseen = new LastLines(KEPT_LENGTH);
  #ready = false;
  #signsOfLife = 0;
  #tellFeatures: (features: readonly string[]) => void = () => undefined;
  /** Resolves with what the receiver said it can, when it says so; an old one never does. */
  readonly features = new Promise<readonly string[]>((resolve) => {
    this.#tellFeatures = resolve;
  });
  #tellSpeaks: () => void = () => undefined;
  /** Resolves with its first word, also that it is at work. */
  readonly speaks = new Promise<void>((resolve) => {
    this.#tellSpeaks = resolve;
  });
  #tellAnswered: () => void = () => undefined;
  /** Resolves with its first word but that it is at work. */
  readonly answered = new Promise<void>((resolve) => {
    this.#tellAnswered = resolve;
  });
  #tellConcluded: () => void = () => undefined;
  /** Resolves when it has reported how it ended. */
  readonly concluded = new Promise<void>((resolve) => {
    this.#tellConcluded = resolve;
  });
  #result: Done | Failed | undefined;
  #secondStart = 0;
  #shown = 0;
  #hidden = 0;

  constructor(reporter: Reporter, streamId: string, now: () => number = () => performance.now()) {
    this.#reporter = reporter;
    this.#streamId = streamId;
    this.#now = now;
  }

  /** To be called when nothing more will come. */
  end(): void {
    if (this.#hidden > 0) this.#reporter.remote(`(${this.#hidden} lines left out)`);
    this.#hidden = 0;
  }

  /** The receiver said that it took the destination. */
  get ready(): boolean {
    return this.#ready;
  }

  /** How often it said that it is at work. */
  get signsOfLife(): number {
    return this.#signsOfLife;
  }

  get result(): Done | Failed | undefined {
    return this.#result;
  }

  /** Its last lines on stderr, the newest last. */
  get lastLines(): readonly string[] {
    return this.#lastLines.lines;
  }

  /** Those of them that the person has not read yet: a message need not repeat the others. */
  get unseenLines(): readonly string[] {
    return this.#unseen.lines;
  }

  take(line: string, stream: PeerStream): void {
    const { noise, answer: text } = cutNoise(line);
    const answer = stream === 'stdout' ? parseAnswer(text) : undefined;
    if (answer?.streamId !== this.#streamId) {
      this.#show(line, stream);
      return;
    }
    if (noise !== '') this.#show(noise, stream);
    this.#note(answer);
  }

  #note(answer: Answer | Garbled): void {
    this.#reporter.debug(`remote answered: ${answer.kind}`);
    this.#tellSpeaks();
    if (answer.kind === 'garbled') {
      this.#result = { ...answer, ...UNREADABLE };
    } else if (answer.kind === 'busy') {
      this.#signsOfLife++;
    } else if (answer.kind === 'ready') {
      this.#ready = true;
      this.#tellFeatures(answer.features);
    } else if (this.#result === undefined) this.#result = answer;
    // The receiver may fail at its very end, when it has reported success already.
    else if (this.#result.kind === 'done' && answer.kind === 'failed') this.#result = answer;
    if (answer.kind !== 'busy') this.#tellAnswered();
    if (this.#result !== undefined) this.#tellConcluded();
  }

  #show(line: string, stream: PeerStream): void {
    if (stream === 'stderr') this.#lastLines.push(line);
    const now = this.#now();
    if (now - this.#secondStart >= 1000) {
      this.end();
      this.#secondStart = now;
      this.#shown = 0;
    }
    const isShown = this.#shown++ < LINES_PER_SECOND;
    if (isShown) this.#reporter.remote(line);
    else this.#hidden++;
    const isSeen = isShown && this.#reporter.showsRemote;
    if (stream === 'stderr' && !isSeen) this.#unseen.push(line);
  }
}

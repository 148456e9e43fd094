/** The changes go to one or several receivers: on another host, or here as processes of their own. */

import { type ErrorContext, UNTOUCHED_THERE } from '../base/errors.js';
import { RateLimit } from '../base/rate-limit.js';
import { humanSize } from '../base/text.js';
import type { RunContext } from '../run/context.js';
import { describeFailure, interrupted } from '../run/interruption.js';
import { sumOfPacked } from '../run/progress.js';
import { requireWhole } from '../source/overflow.js';
import { reportWrites } from '../source/quiet-check.js';
import type { Source } from '../source/source.js';
import { newStreamId } from '../stream/change-writer.js';
import { hostName, placeName } from './destination-name.js';
import { snapbackOfPart } from './remote-command.js';
import type { SendRequest } from './request.js';
import { planParts } from './stream-parts.js';
import { type SendJob, StreamSender } from './stream-sender.js';
import { StreamSet } from './stream-set.js';
import { undoCommand } from './undo-hints.js';

/** sshd turns away some of those that come while ten are logging in. */
const LOGINS_AT_ONCE = 8;

/** Resolves when each receiver has confirmed everything, or, an old one, ended with status 0. */
export async function sendTo(
  source: Source,
  command: SendRequest,
  context: RunContext,
): Promise<void> {
  const { reporter } = context;
  const remote = new RemoteRun(source, command, context);
  const started = performance.now();
  const verified = await remote.run();
  if (!verified) {
    reporter.warn(
      `${hostName(command.destination)}: the receiver does not confirm what it wrote; relying on its exit status`,
    );
  }
  const seconds = (performance.now() - started) / 1000;
  const bytes = remote.totalBytes;
  remote.reportSnapbacks();
  reporter.transferred({ bytes, seconds, sourceSize: source.device.size });
}

/** The hashes of both ends are compared in one conversation, and what differs is known only after it. */
function streamsOf({ compare, remote: { streams } }: SendRequest, context: RunContext): number {
  if (compare === undefined || streams === 1) return streams;
  context.reporter.verbose('a run that compares uses a single stream');
  return 1;
}

class RemoteRun {
  readonly #source: Source;
  readonly #command: SendRequest;
  readonly #context: RunContext;
  readonly #set: StreamSet;
  readonly #sendings: readonly StreamSender[];
  /** The bytes of each stream. */
  readonly #doneBytes: number[];
  #totalBytes: number;
  /** A comparison is over, and data follow. */
  #hasFound = false;
  #endFlags: Promise<{ readonly sourceChanged: boolean }> | undefined;

  constructor(source: Source, command: SendRequest, context: RunContext) {
    this.#source = source;
    this.#command = command;
    this.#context = context;
    this.#totalBytes = source.extents.totalBytes;
    const parts = planParts(source, streamsOf(command, context));
    this.#set = this.#makeSet(parts.length);
    this.#doneBytes = parts.map(() => 0);
    const pace = RateLimit.pace(command.bytesPerSecond, this.#set.signal);
    this.#sendings = parts.map((part, i) => {
      const shipment: SendJob = {
        ...{ source, part, context, pace, set: this.#set, index: i + 1 },
        command: { ...command, snapback: this.#snapback(i + 1) },
        onProgress: (bytes) => this.#progress(i, bytes),
        onCompared: (doneBytes) => this.#compared(doneBytes),
        onFound: (bytes) => this.#found(bytes),
        endFlags: () => {
          this.#endFlags ??= this.#checkSource();
          return this.#endFlags;
        },
      };
      return new StreamSender(shipment);
    });
  }

  #makeSet(count: number): StreamSet {
    const { destination, format, snapback, chain, remote } = this.#command;
    const host = hostName(destination);
    return new StreamSet({
      host,
      setId: newStreamId(),
      count,
      signal: this.#context.signal,
      answers: format !== 'classic',
      needsReady: snapback !== undefined || chain !== undefined || remote.requireAck,
      timeoutSeconds: remote.timeoutSeconds,
      onSilence: () =>
        this.#context.reporter.warn(
          `${host}: no "ready" from the receiver, assuming an old lvmsync; --format=classic avoids this wait`,
        ),
    });
  }

  #snapback(streamIndex: number): SendRequest['snapback'] {
    const { snapback } = this.#command;
    const place = { streamIndex, streamCount: this.#set.count };
    return snapback === undefined ? undefined : snapbackOfPart(snapback, place);
  }

  /** Whether every receiver has confirmed what it wrote. Throws the failure that came first. */
  async run(): Promise<boolean> {
    const runs: Promise<boolean>[] = [];
    for (const [i, sending] of this.#sendings.entries()) {
      await this.#sendings[i - LOGINS_AT_ONCE]?.loggedIn();
      if (this.#set.signal.aborted) {
        this.#set.fail(interrupted(this.#set.signal));
        break;
      }
      runs.push(this.#follow(sending));
    }
    const verified = await Promise.all(runs);
    const { failure } = this.#set;
    if (failure !== undefined) throw describeFailure(failure, this.#whatWasLeft());
    return verified.every((isVerified) => isVerified);
  }

  /** Never rejects: the set learns of a failure. */
  async #follow(sending: StreamSender): Promise<boolean> {
    try {
      return (await sending.run()).verified;
    } catch (error) {
      this.#set.fail(error);
      return false;
    }
  }

  #progress(stream: number, bytes: number): void {
    this.#doneBytes[stream] = bytes;
    const doneBytes = this.#doneBytes.reduce((sum, done) => sum + done, 0);
    const totalBytes = this.#totalBytes;
    const packed = sumOfPacked(this.#sendings.flatMap((sending) => sending.packed ?? []));
    this.#context.reporter.progress({ activity: 'Sending', doneBytes, totalBytes, packed });
  }

  /** Payload bytes of all streams. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  #compared(doneBytes: number): void {
    const totalBytes = this.#source.device.size;
    this.#context.reporter.progress({ activity: 'Comparing', doneBytes, totalBytes });
  }

  #found(bytes: number): void {
    this.#hasFound = true;
    this.#totalBytes = bytes;
    const { size } = this.#source.device;
    this.#context.reporter.info(`Compared ${humanSize(size)}: ${humanSize(bytes)} differ.`);
  }

  /** Once, when all streams have read their last byte: all of them end with the same words. */
  async #checkSource(): Promise<{ readonly sourceChanged: boolean }> {
    const { watch } = this.#source;
    const writes = watch.writes();
    await requireWhole(this.#source);
    const { requireQuiet } = this.#command;
    return reportWrites(watch, writes, { requireQuiet, reporter: this.#context.reporter });
  }

  #whatWasLeft(): ErrorContext {
    const { destination, snapback, chain, format } = this.#command;
    const isCompared = this.#command.compare === undefined || this.#hasFound;
    const mayHaveWritten = this.#set.mayHaveSentData && isCompared;
    const begun = mayHaveWritten && this.#sendings.some((one) => one.mayHaveOpened);
    if (!begun) return UNTOUCHED_THERE;
    const alone = 'Leave out --format=classic unless the receiver is the Ruby lvmsync. ';
    const classic = this.#set.count > 1 && format === 'classic' ? alone : '';
    const again = `${classic}Run the same command again to complete it`;
    const state = `${placeName(destination)} may be incomplete.`;
    if (chain !== undefined) return { state, hint: `${again}: it continues this cycle run.` };
    return {
      state,
      hint:
        snapback === undefined
          ? `${again}.`
          : `${again}, with another snapback name, or undo it there with: ${this.#undoCommands('those that exist')}`,
    };
  }

  /** `which` of the snapbacks are meant, where there are several. */
  #undoCommands(which: string): string {
    const { path, host } = this.#command.destination;
    const snapbacks = this.#sendings.flatMap((_, i) => this.#snapback(i + 1) ?? []);
    const distinct = [...new Set(snapbacks.map((snapback) => snapback.path))];
    const commands = distinct.map((snapback) => undoCommand({ snapback, path, host })).join('; ');
    return distinct.length > 1 ? `${commands} (${which}, in any order)` : commands;
  }

  /** Where there is more than the one that was asked for. */
  reportSnapbacks(): void {
    const { snapback, destination } = this.#command;
    if (snapback === undefined || this.#set.count === 1) return;
    const commands = this.#undoCommands('all of them');
    this.#context.reporter.info(`To undo this run on ${hostName(destination)}: ${commands}`);
  }
}

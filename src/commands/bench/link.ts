/** How fast random bytes reach another host, over one connection and over several at once. */

import { randomBytes } from 'node:crypto';
import type { LvmsyncError } from '../../base/errors.js';
import { LONGEST_LINE } from '../../base/lines.js';
import type { BenchCommand } from '../../cli/command.js';
import { isNativeError } from '../../host/native.js';
import { connectScript } from '../../remote/connect.js';
import type { OnLine, PeerStream } from '../../remote/peer.js';
import { LastLines, PeerSession } from '../../remote/peer-session.js';
import { exitFailure } from '../../remote/peer-verdict.js';
import { LIMITS, noAnswer } from '../../remote/stall-watch.js';
import type { RunContext } from '../../run/context.js';
import { interrupted } from '../../run/interruption.js';
import type { BenchRow } from './report.js';
import { SAMPLES, type Sample, summarize } from './samples.js';

const MILLISECONDS = 2000;
/** For what is on its way at the end. Milliseconds. */
const LAST_PATIENCE_MS = 60_000;
const PIECE = 256 * 1024;

const READY = 'lvmsync-bench-ready';
const DONE = 'lvmsync-bench-done';
/** Any shell knows these; what arrives is thrown away. An empty line ends what the login printed. */
const SCRIPT = `echo; echo ${READY}; cat >/dev/null; echo ${DONE}`;

export interface Link {
  readonly host: string;
  readonly command: BenchCommand;
}

/** Throws (transport) where it cannot be reached. */
export async function measureLink(
  link: Link,
  streams: number,
  context: RunContext,
): Promise<BenchRow> {
  const lines = await openAll(link, streams, context);
  try {
    const started = performance.now();
    const watch = watchSamples(lines);
    const sent = await Promise.all(lines.map((line) => line.pour(started + MILLISECONDS)));
    const samples = watch.end();
    if (context.signal.aborted) throw interrupted(context.signal);
    const seconds = (performance.now() - started) / 1000;
    const bytes = sent.reduce((sum, count) => sum + count, 0);
    // Buffers on the way hide how fast it is in a moment: the whole counts, the samples show how steady it was.
    const { lowest, highest } = summarize(samples);
    return { what: 'link', bytesPerSecond: bytes / seconds, lowest, highest, streams };
  } catch (error) {
    throw context.signal.aborted ? interrupted(context.signal) : error;
  } finally {
    for (const line of lines) line.kill();
  }
}

/** The first one fills what holds data on the way. */
function watchSamples(lines: readonly Line[]): { end(): Sample[] } {
  const total = (): number => lines.reduce((sum, line) => sum + line.sent, 0);
  const samples: Sample[] = [];
  let [before, since] = [0, performance.now()];
  const timer = setInterval(
    () => {
      const [now, sent] = [performance.now(), total()];
      samples.push({ bytes: sent - before, seconds: (now - since) / 1000 });
      [before, since] = [sent, now];
    },
    MILLISECONDS / (SAMPLES + 1),
  );
  return {
    end: () => {
      clearInterval(timer);
      return samples.slice(1, SAMPLES + 1);
    },
  };
}

async function openAll(link: Link, streams: number, context: RunContext): Promise<Line[]> {
  const lines: Line[] = [];
  try {
    // One after the other: an ssh server refuses some of many that log in at once.
    for (let i = 0; i < streams; i++) {
      const line = await Line.open(link, streams, context);
      lines.push(line);
      await line.ready;
    }
    return lines;
  } catch (error) {
    await Promise.all(lines.map((line) => line.close()));
    throw context.signal.aborted ? interrupted(context.signal) : error;
  }
}

/** The output of the remote side. */
class Heard {
  readonly #last = new LastLines(LONGEST_LINE);
  isReady = false;
  isDone = false;
  #tellReady: () => void = () => undefined;
  #tellDone: () => void = () => undefined;
  readonly ready = new Promise<void>((resolve) => {
    this.#tellReady = resolve;
  });
  /** Everything has arrived there. */
  readonly done = new Promise<void>((resolve) => {
    this.#tellDone = resolve;
  });

  get lastLines(): readonly string[] {
    return this.#last.lines;
  }

  take(line: string, stream: PeerStream): void {
    if (stream === 'stderr') this.#last.push(line);
    else if (line === READY) {
      this.isReady = true;
      this.#tellReady();
    } else if (line === DONE) {
      this.isDone = true;
      this.#tellDone();
    }
  }
}

/** One connection. */
class Line {
  /** Rejects (transport) if the remote side ends, or is silent for too long. */
  readonly ready: Promise<void>;
  /** Bytes, so far. */
  sent = 0;
  readonly #host: string;
  readonly #session: PeerSession;
  readonly #heard: Heard;

  private constructor(host: string, session: PeerSession, heard: Heard) {
    this.#host = host;
    this.#session = session;
    this.#heard = heard;
    this.ready = this.#awaitReady();
    // Who does not come to wait for it has failed before.
    this.ready.catch(() => undefined);
  }

  static async open({ host, command }: Link, streams: number, context: RunContext): Promise<Line> {
    const remote = { ...command.remote, streams };
    const heard = new Heard();
    const onLine: OnLine = (text, stream) => heard.take(text, stream);
    const request = { host, remote, script: SCRIPT, onLine };
    const session = new PeerSession(await connectScript(request, context));
    session.guard({
      host,
      reporter: context.reporter,
      signal: context.signal,
      progress: () => (heard.isReady ? performance.now() : 0),
      limitSeconds: remote.timeoutSeconds ?? LIMITS.answer,
    });
    return new Line(host, session, heard);
  }

  kill(): void {
    this.#session.kill();
  }

  /** Ends one that is not to pour. */
  async close(): Promise<void> {
    this.kill();
    await this.#session.close();
  }

  /** Writes until the moment, then until all has arrived; resolves with the bytes. */
  async pour(until: number): Promise<number> {
    const writer = this.#session.openWriter();
    const bytes = randomBytes(PIECE);
    // A link that takes nothing any more does not hold us.
    this.#session.endSoon(until - performance.now() + LAST_PATIENCE_MS);
    try {
      while (performance.now() < until) {
        await writer.writeRaw(bytes);
        this.sent += bytes.length;
      }
    } catch (error) {
      // How it ended says why it takes no more.
      if (!isNativeError(error)) throw error;
    }
    const ended = this.#session.close();
    await this.#session.hears(this.#heard.done);
    // A process that the login left behind may hold the connection open.
    this.kill();
    await ended;
    if (this.#heard.isDone) return this.sent;
    throw await this.#failure();
  }

  async #awaitReady(): Promise<void> {
    if (await this.#session.hears(this.#heard.ready)) return;
    throw await this.#failure();
  }

  async #failure(): Promise<LvmsyncError> {
    const exit = await this.#session.exited;
    const { lateAfter } = this.#session;
    if (lateAfter !== undefined) return noAnswer({ host: this.#host, program: 'sh' }, lateAfter);
    const { lastLines } = this.#heard;
    return exitFailure({ host: this.#host, exit, lastLines });
  }
}

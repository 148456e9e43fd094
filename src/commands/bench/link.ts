/** How fast random bytes reach another host, over one connection and over several at once. */

import { randomBytes } from 'node:crypto';
import { LvmsyncError } from '../../base/errors.js';
import type { BenchCommand } from '../../cli/command.js';
import { isNativeError, native } from '../../host/native.js';
import { connectScript } from '../../remote/connect.js';
import { closeInput, type OnLine, type Peer, type PeerStream } from '../../remote/peer.js';
import { judge } from '../../remote/peer-verdict.js';
import { LIMITS, noAnswer, type StallWatch, watchForStall } from '../../remote/stall-watch.js';
import type { RunContext } from '../../run/context.js';
import { interrupted } from '../../run/interruption.js';
import type { Reporter } from '../../run/reporter.js';
import { newStreamId } from '../../stream/change-writer.js';
import type { BenchRow } from './report.js';

const MILLISECONDS = 2000;
/** For what is on its way at the end. Milliseconds. */
const LAST_PATIENCE_MS = 60_000;
const PIECE = 256 * 1024;
const KEPT_LINES = 4;

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
  const kill = (): void => {
    for (const { peer } of lines) peer.kill();
  };
  context.signal.addEventListener('abort', kill);
  try {
    await Promise.all(lines.map((line) => line.ready));
    const started = performance.now();
    const sent = await Promise.all(lines.map((line) => line.pour(started + MILLISECONDS)));
    if (context.signal.aborted) throw interrupted(context.signal);
    const seconds = (performance.now() - started) / 1000;
    const bytes = sent.reduce((sum, count) => sum + count, 0);
    return { what: 'link', bytesPerSecond: bytes / seconds, streams };
  } catch (error) {
    throw context.signal.aborted ? interrupted(context.signal) : error;
  } finally {
    kill();
    context.signal.removeEventListener('abort', kill);
  }
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
    for (const { peer } of lines) peer.kill();
    throw context.signal.aborted ? interrupted(context.signal) : error;
  }
}

/** What the other side says. */
class Heard {
  readonly lastLines: string[] = [];
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

  take(line: string, stream: PeerStream): void {
    if (stream === 'stderr') {
      this.lastLines.push(line);
      if (this.lastLines.length > KEPT_LINES) this.lastLines.shift();
    } else if (line === READY) this.#tellReady();
    else if (line === DONE) {
      this.isDone = true;
      this.#tellDone();
    }
  }
}

/** One connection. */
class Line {
  readonly peer: Peer;
  /** Rejects (transport) if the other side ends, or says nothing for too long. */
  readonly ready: Promise<void>;
  readonly #host: string;
  readonly #heard: Heard;

  private constructor(
    host: string,
    { peer, heard }: { readonly peer: Peer; readonly heard: Heard },
    { reporter, limitSeconds }: Pick<StallWatch, 'reporter' | 'limitSeconds'>,
  ) {
    this.#host = host;
    this.peer = peer;
    this.#heard = heard;
    this.ready = this.#await(reporter, limitSeconds);
    // Who does not come to wait for it has failed before.
    this.ready.catch(() => undefined);
  }

  static async open({ host, command }: Link, streams: number, context: RunContext): Promise<Line> {
    const remote = { ...command.remote, streams };
    const heard = new Heard();
    const onLine: OnLine = (text, stream) => heard.take(text, stream);
    const peer = await connectScript({ host, remote, script: SCRIPT, onLine }, context);
    const limitSeconds = remote.timeoutSeconds ?? LIMITS.answer;
    return new Line(host, { peer, heard }, { reporter: context.reporter, limitSeconds });
  }

  /** Writes until the moment, then until all has arrived; resolves with the bytes. */
  async pour(until: number): Promise<number> {
    const { peer } = this;
    const writer = new native.RecordWriter(peer.inputFd, newStreamId());
    const bytes = randomBytes(PIECE);
    // A link that takes nothing any more does not hold us.
    const late = setTimeout(() => peer.kill(), until - performance.now() + LAST_PATIENCE_MS);
    void peer.exited.then(() => writer.cancel());
    let count = 0;
    try {
      while (performance.now() < until) {
        await writer.writeRaw(bytes);
        count += bytes.length;
      }
    } catch (error) {
      if (!isNativeError(error)) throw error;
      await closeInput(peer);
      throw await this.#failure();
    }
    const ended = closeInput(peer);
    await Promise.race([this.#heard.done, ended]);
    clearTimeout(late);
    // What the login left behind may hold the connection open.
    peer.kill();
    await ended;
    if (this.#heard.isDone) return count;
    throw await this.#failure();
  }

  async #await(reporter: Reporter, limitSeconds: number): Promise<void> {
    let tellLate: () => void = () => undefined;
    const late = new Promise<'late'>((resolve) => {
      tellLate = () => resolve('late');
    });
    const watch = { host: this.#host, reporter, progress: () => 0, limitSeconds };
    const forget = watchForStall({ ...watch, onTimeout: tellLate });
    const end = this.peer.exited.then(() => 'end' as const);
    const first = await Promise.race([this.#heard.ready, end, late]);
    forget();
    if (first === 'end') throw await this.#failure();
    if (first !== 'late') return;
    this.peer.kill();
    throw noAnswer(this.#host, limitSeconds);
  }

  async #failure(): Promise<unknown> {
    const exit = await this.peer.exited;
    const nothing = { ready: false, result: undefined, unreadBytes: 0, requireAck: false };
    const about = { host: this.#host, exit, lastLines: this.#heard.lastLines };
    const sent = { records: 0, bytes: 0, digest: '' };
    try {
      judge({ ...about, ...nothing, sent, sentAll: false, classic: true });
    } catch (error) {
      return error;
    }
    return new LvmsyncError('transport', `${this.#host}: the connection ended too early`);
  }
}

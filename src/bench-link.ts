/** How fast random bytes reach another host, over one connection and over several at once. */

import { randomBytes } from 'node:crypto';
import type { BenchRow } from './bench-report.js';
import { newStreamId } from './change-writer.js';
import { connectScript } from './connect.js';
import { LvmsyncError } from './errors.js';
import type { BenchCommand } from './examine-commands.js';
import { isNativeError, native } from './native.js';
import { judge } from './peer-verdict.js';
import { interrupted, type RunContext } from './run-context.js';
import { closeInput, type OnLine, type Peer } from './transport.js';

const MILLISECONDS = 2000;
/** For logging in, and again for what is on its way at the end. Seconds. */
const PATIENCE = 60;
const PIECE = 256 * 1024;
const KEPT_LINES = 4;

const READY = 'lvmsync-bench-ready';
/** Any shell knows these; what arrives is thrown away. */
const SCRIPT = `echo ${READY}; exec cat >/dev/null`;

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

/** One connection. */
class Line {
  readonly peer: Peer;
  /** Rejects (transport) if the other side ends, or says nothing for too long. */
  readonly ready: Promise<void>;
  readonly #host: string;
  readonly #lastLines: readonly string[];

  private constructor(
    host: string,
    {
      peer,
      greeted,
      lastLines,
    }: { peer: Peer; greeted: Promise<void>; lastLines: readonly string[] },
    patience: number,
  ) {
    this.#host = host;
    this.peer = peer;
    this.#lastLines = lastLines;
    this.ready = this.#await(greeted, patience);
    // Who does not come to wait for it has failed before.
    this.ready.catch(() => undefined);
  }

  static async open({ host, command }: Link, streams: number, context: RunContext): Promise<Line> {
    const remote = { ...command.remote, streams };
    const lastLines: string[] = [];
    let greet: () => void = () => undefined;
    const greeted = new Promise<void>((resolve) => {
      greet = resolve;
    });
    const onLine: OnLine = (text, stream) => {
      if (stream === 'stdout' && text === READY) greet();
      if (stream === 'stdout') return;
      lastLines.push(text);
      if (lastLines.length > KEPT_LINES) lastLines.shift();
    };
    const peer = await connectScript({ host, remote, script: SCRIPT, onLine }, context);
    return new Line(host, { peer, greeted, lastLines }, remote.timeoutSeconds ?? PATIENCE);
  }

  /** Writes until the moment, then until all has arrived; resolves with the bytes. */
  async pour(until: number): Promise<number> {
    const { peer } = this;
    const writer = new native.RecordWriter(peer.inputFd, newStreamId());
    const bytes = randomBytes(PIECE);
    // A link that takes nothing any more does not hold us.
    const late = setTimeout(() => peer.kill(), until - performance.now() + PATIENCE * 1000);
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
    } finally {
      clearTimeout(late);
    }
    await closeInput(peer);
    const exit = await peer.exited;
    if (exit.kind === 'status' && exit.status === 0) return count;
    throw await this.#failure();
  }

  async #await(greeted: Promise<void>, patience: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), patience * 1000);
    });
    const end = this.peer.exited.then(() => 'end' as const);
    const first = await Promise.race([greeted, end, late]);
    clearTimeout(timer);
    if (first === 'end') throw await this.#failure();
    if (first !== 'late') return;
    this.peer.kill();
    throw new LvmsyncError(
      'transport',
      `${this.#host}: no answer for ${patience} seconds: given up`,
    );
  }

  async #failure(): Promise<unknown> {
    const exit = await this.peer.exited;
    const nothing = { ready: false, result: undefined, unreadBytes: 0, requireAck: false };
    const about = { host: this.#host, exit, lastLines: this.#lastLines };
    const sent = { records: 0, bytes: 0, digest: '' };
    try {
      judge({ ...about, ...nothing, sent, sentAll: false, classic: true });
    } catch (error) {
      return error;
    }
    return new LvmsyncError('transport', `${this.#host}: the connection ended too early`);
  }
}

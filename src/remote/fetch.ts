/**
 * The two processes of a pull: the command that reaches the source, and the receiver of this machine. The stream goes from
 * one to the other through a pipe that both have; only the lines before it, and the answers, pass through here.
 */

import type { ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { LineSplitter } from '../base/lines.js';
import { isNativeError, type NativeInputStream, native } from '../host/native.js';
import { readText } from '../host/virtual-files.js';
import type { RunContext } from '../run/context.js';
import { cancelSoonAfter } from '../run/interruption.js';
import { type Done, type Failed, formatAnswer, parseAnswer } from '../stream/answer-lines.js';
import { hashAnswerStart } from '../stream/hash-lines.js';
import type { PeerExit } from './peer.js';
import { PeerOutput } from './peer-output.js';
import { LastLines } from './peer-session.js';
import { exitOf, startProgram } from './rsh.js';
import { LIMITS, watchForStall } from './stall-watch.js';

/** From the end of the receiver to that of the source, which may wait for LVM's lock to remove its snapshot. Seconds. */
const CLOSING_LIMIT = LIMITS.chain;
/** After a signal the receiver flushes what it has. Milliseconds. */
const LAST_PATIENCE_MS = 8000;
/** Of the last lines of the receiver. */
const KEPT_LENGTH = 400;
const INPUT_SIZE = 16 * 1024;

export interface FetchRequest {
  /** As messages call the source's host. */
  readonly host: string;
  /** The command that reaches the source, and the receiver, each with its arguments. */
  readonly source: readonly string[];
  readonly receiver: readonly string[];
  /** Of the conversation. */
  readonly session: string;
  /** The lines of the puller, each with its end. */
  readonly request: string;
  readonly go: string;
  /** Whether the stream may be asked for after this line of the source. Throws where it must not. */
  readonly accepts: (line: string) => boolean;
  readonly timeoutSeconds: number | undefined;
}

/** How one of the two ended. */
export interface ProcessEnd {
  readonly exit: PeerExit;
  readonly result: Done | Failed | undefined;
  /** Its last lines on standard error, the newest last; the second: those that nobody has read. */
  readonly lastLines: readonly string[];
  readonly unseenLines: readonly string[];
}

export interface FetchEnd {
  readonly source: ProcessEnd;
  /** Undefined: the source did not get so far. */
  readonly receiver: ProcessEnd | undefined;
  /** Nothing moved for so many seconds, so both were ended. */
  readonly lateAfter: number | undefined;
}

/** Never leaves a process behind. Throws what `accepts` throws. */
export function fetchStream(request: FetchRequest, context: RunContext): Promise<FetchEnd> {
  return new Fetch(request, context).run();
}

class Fetch {
  readonly #request: FetchRequest;
  readonly #context: RunContext;
  readonly #output: PeerOutput;
  readonly #words = new ReceiverWords();
  #source: ChildProcess | undefined;
  #receiver: ChildProcess | undefined;
  #input: NativeInputStream | undefined;
  #lateAfter: number | undefined;
  /** As the receiver called it first. */
  #streamId: string | undefined;

  constructor(request: FetchRequest, context: RunContext) {
    this.#request = request;
    this.#context = context;
    this.#output = new PeerOutput(context.reporter, request.session);
  }

  async run(): Promise<FetchEnd> {
    const { signal } = this.#context;
    const forget = cancelSoonAfter(signal, () => this.#stop(), 0);
    const pipe = native.makePipe('theirs');
    let isOpen = true;
    const close = (): void => {
      if (isOpen) closeSync(pipe.readFd);
      isOpen = false;
    };
    try {
      const ended = this.#startSource(pipe.writeFd);
      const isServed = await this.#head(pipe.readFd).catch((error: unknown) => {
        this.#stop();
        throw error;
      });
      if (!isServed) this.#source?.stdin?.end();
      const receiver = isServed ? await this.#receive(pipe.readFd, close) : undefined;
      close();
      const exit = await this.#watched({ limitSeconds: CLOSING_LIMIT }, () => ended);
      this.#output.end();
      const { result, lastLines, unseenLines } = this.#output;
      const source = { exit, result, lastLines, unseenLines };
      return { source, receiver, lateAfter: this.#lateAfter };
    } finally {
      close();
      forget();
    }
  }

  #startSource(writeFd: number): Promise<PeerExit> {
    const { source } = this.#request;
    const [program = ''] = source;
    this.#context.reporter.verbose(`running: ${source.join(' ')}`);
    const child = startProgram(source, ['pipe', writeFd, 'pipe']);
    closeSync(writeFd);
    this.#source = child;
    child.stdin?.on('error', () => undefined);
    const take = (line: string): void => this.#output.take(line, 'stderr');
    return exitOf(child, { program, streams: [[child.stderr, take]] });
  }

  /** Whether the source has the stream ready. Reads no byte of it. */
  async #head(readFd: number): Promise<boolean> {
    const { request, go, accepts, timeoutSeconds } = this.#request;
    this.#source?.stdin?.write(request);
    const input = new native.InputStream(readFd);
    this.#input = input;
    const isServed = await this.#watched(
      { limitSeconds: timeoutSeconds ?? LIMITS.chain },
      async () => {
        for await (const line of linesOf(input)) {
          if (accepts(line)) return true;
          this.#output.take(line, 'stdout');
          // It says why not; what it was started through may hold the pipe open.
          if (this.#output.result !== undefined) return false;
        }
        return false;
      },
    );
    this.#input = undefined;
    if (isServed) this.#source?.stdin?.write(go);
    return isServed;
  }

  async #receive(readFd: number, close: () => void): Promise<ProcessEnd> {
    const { receiver, timeoutSeconds } = this.#request;
    const [program = ''] = receiver;
    const { reporter } = this.#context;
    reporter.verbose(`running: ${receiver.join(' ')}`);
    const child = startProgram(receiver, [readFd, 'pipe', 'pipe']);
    this.#receiver = child;
    // From here on only the receiver has it: the source notices where that ends.
    close();
    const answers = (line: string): void => this.#pass(line);
    const said = (line: string): void => {
      reporter.remote(line);
      this.#words.note(line, reporter.showsRemote);
    };
    const streams = [
      [child.stdout, answers],
      [child.stderr, said],
    ] as const;
    const ended = exitOf(child, { program, streams, isPeer: true });
    const limitSeconds = timeoutSeconds ?? LIMITS.stream;
    const exit = await this.#watched({ limitSeconds, progress: () => this.#moved }, () => ended);
    this.#source?.stdin?.end();
    return { exit, ...this.#words.all };
  }

  /** Only answers and hashes: the source ends the conversation at anything else. */
  #pass(line: string): void {
    const answer = parseAnswer(line);
    if (answer === undefined) {
      if (this.#streamId !== undefined && hashAnswerStart(line, this.#streamId) === 0) {
        this.#source?.stdin?.write(`${line}\n`);
      }
      return;
    }
    this.#streamId ??= answer.streamId;
    this.#words.take(answer);
    if (answer.kind !== 'garbled') this.#source?.stdin?.write(`\n${formatAnswer(answer)}`);
  }

  /** Grows with what the receiver reads and writes. After its result it only removes what is old. */
  get #moved(): number {
    if (this.#words.isDone) return performance.now();
    const text = readText(`/proc/${this.#receiver?.pid}/io`) ?? '';
    const counts = [...text.matchAll(/^(?:rchar|wchar|read_bytes|write_bytes): (\d+)$/gm)];
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  }

  async #watched<T>(
    { limitSeconds, progress = () => 0 }: { limitSeconds: number; progress?: () => number },
    work: () => Promise<T>,
  ): Promise<T> {
    const { reporter } = this.#context;
    const { host } = this.#request;
    const onTimeout = (): void => {
      this.#lateAfter ??= limitSeconds;
      this.#stop();
    };
    const forget = watchForStall({ host, reporter, progress, limitSeconds, onTimeout });
    try {
      return await work();
    } finally {
      forget();
    }
  }

  /** The receiver reads the end of its input then, and ends in order. */
  #stop(): void {
    this.#source?.kill('SIGKILL');
    this.#input?.cancel();
    const receiver = this.#receiver;
    if (receiver === undefined || receiver.exitCode !== null) return;
    receiver.kill('SIGTERM');
    const timer = setTimeout(() => receiver.kill('SIGKILL'), LAST_PATIENCE_MS);
    receiver.once('exit', () => clearTimeout(timer));
  }
}

/** To its end, or to a cancel. The source writes nothing after a line that it wants to be answered. */
async function* linesOf(input: NativeInputStream): AsyncGenerator<string, void> {
  const splitter = new LineSplitter();
  const buffer = new ArrayBuffer(INPUT_SIZE);
  for (;;) {
    const count = await input.read(buffer).catch((error: unknown) => {
      if (isNativeError(error)) return 0;
      throw error;
    });
    yield* count === 0 ? splitter.end() : splitter.push(new Uint8Array(buffer, 0, count));
    if (count === 0) return;
  }
}

/** What the receiver said. */
class ReceiverWords {
  readonly #last = new LastLines(KEPT_LENGTH);
  readonly #unseen = new LastLines(KEPT_LENGTH);
  #result: Done | Failed | undefined;

  note(line: string, isSeen: boolean): void {
    this.#last.push(line);
    if (!isSeen) this.#unseen.push(line);
  }

  take(answer: NonNullable<ReturnType<typeof parseAnswer>>): void {
    if (answer.kind === 'done' || answer.kind === 'failed') this.#result = answer;
  }

  get isDone(): boolean {
    return this.#result?.kind === 'done';
  }

  get all(): Omit<ProcessEnd, 'exit'> {
    return {
      result: this.#result,
      lastLines: this.#last.lines,
      unseenLines: this.#unseen.lines,
    };
  }
}

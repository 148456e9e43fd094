/** Runs this program where a destination is, with nothing to read, and collects what it answers. */

import { LONGEST_LINE } from '../base/lines.js';
import type { RunContext } from '../run/context.js';
import type { Reporter } from '../run/reporter.js';
import { connect } from './connect.js';
import { closeInput, endSoon, type OnLine, type PeerExit, type PeerStream } from './peer.js';
import { judge } from './peer-verdict.js';
import type { RemoteOptions } from './request.js';
import { LIMITS, watchForStall } from './stall-watch.js';

/** Characters of standard output that are looked at: a chain of many thousand links has far fewer. */
const LONGEST_ANSWER = 64 * 1024 * 1024;
/** Of each line, however short, in the same measure: there may be very many. */
const COST_OF_LINE = 1024;
/** Lines of stderr that are kept for the words after a failure. */
const KEPT_LINES = 4;

export interface PeerRequest {
  /** Undefined: this machine. */
  readonly host: string | undefined;
  readonly remote: RemoteOptions;
  /** The arguments, not quoted. */
  readonly words: readonly string[];
  /** Whether this line of its standard output is the last one of its answer. */
  readonly isLast: (line: string) => boolean;
  /** For who gave no --timeout; default: LIMITS.answer. */
  readonly limitSeconds?: number;
}

export interface PeerAnswer {
  readonly exit: PeerExit;
  /** Lines of its standard output that may hold an object. */
  readonly lines: readonly string[];
  /** The last line of its answer is there. Then its exit may be our doing: what it left behind did not end. */
  readonly isWhole: boolean;
  /** What it said last, the newest last, but for the lines above. */
  readonly lastLines: readonly string[];
  /** It was ended because it took too long, after so many seconds. */
  readonly lateAfter: number | undefined;
}

/** Ends with the peer, however that ends. Throws (transport) only where the built-in client cannot reach it. */
export async function askPeer(request: PeerRequest, context: RunContext): Promise<PeerAnswer> {
  const { host, remote, words } = request;
  const heard = new Heard(request, context.reporter);
  const onLine: OnLine = (line, stream) => heard.take(line, stream);
  const peer = await connect({ host, remote, words, onLine }, context);
  void heard.whole.then(() => endSoon(peer));
  const limitSeconds = remote.timeoutSeconds ?? request.limitSeconds ?? LIMITS.answer;
  let lateAfter: number | undefined;
  const forget = watchForStall({
    host: host ?? 'this machine',
    reporter: context.reporter,
    progress: () => heard.lines.length,
    limitSeconds,
    onTimeout: () => {
      lateAfter = limitSeconds;
      peer.kill();
    },
  });
  context.signal.addEventListener('abort', peer.kill);
  if (context.signal.aborted) peer.kill();
  try {
    await closeInput(peer);
    heard.end();
    const { lines, lastLines, isWhole } = heard;
    return { exit: await peer.exited, lines, isWhole, lastLines, lateAfter };
  } finally {
    forget();
    context.signal.removeEventListener('abort', peer.kill);
  }
}

/** What the peer prints: the lines that may be an answer, and the last of the others, which are shown. */
class Heard {
  readonly lines: string[] = [];
  readonly lastLines: string[] = [];
  isWhole = false;
  readonly #request: PeerRequest;
  readonly #reporter: Reporter;
  #room = LONGEST_ANSWER;
  /** Pieces of a long line, which only its end tells apart. */
  #pieces: string[] = [];
  #tell: () => void = () => undefined;
  /** Resolves when the last line of the answer has come. */
  readonly whole = new Promise<void>((resolve) => {
    this.#tell = resolve;
  });

  constructor(request: PeerRequest, reporter: Reporter) {
    this.#request = request;
    this.#reporter = reporter;
  }

  take(line: string, stream: PeerStream): void {
    if (stream === 'stderr') {
      this.#note(line);
      return;
    }
    this.#room -= line.length + COST_OF_LINE;
    if (this.#room > 0) this.#pieces.push(line);
    if (line.length < LONGEST_LINE) this.end();
  }

  /** Of a line, or of everything. */
  end(): void {
    const line = this.#pieces.join('');
    this.#pieces = [];
    if (!line.includes('{')) {
      if (line !== '') this.#note(line);
      return;
    }
    this.lines.push(line);
    if (!this.#request.isLast(line)) return;
    this.isWhole = true;
    this.#tell();
  }

  #note(line: string): void {
    const kept = line.slice(0, LONGEST_LINE);
    this.lastLines.push(kept);
    if (this.lastLines.length > KEPT_LINES) this.lastLines.shift();
    this.#reporter.remote(kept, 'verbose');
  }
}

/** A shell's own, and those of ssh and sudo. */
const NOT_OF_LVMSYNC: readonly number[] = [126, 127, 255];

/** Throws (transport), with what to do about it, where it certainly was not lvmsync that ended. */
export function requirePeer(host: string, { exit, lastLines }: PeerAnswer): void {
  const status = exit.kind === 'status' ? exit.status : undefined;
  const isSudo = lastLines.some((line) => line.startsWith('sudo: '));
  if (status !== undefined && !NOT_OF_LVMSYNC.includes(status) && !isSudo) return;
  const nothing = { ready: false, result: undefined, unreadBytes: 0, requireAck: true };
  const sent = { records: 0, bytes: 0, digest: '' };
  judge({ ...nothing, host, exit, sent, lastLines, sentAll: false, classic: false });
}

/** Runs this program where a destination is, with nothing to read, and collects what it answers. */

import { LONGEST_LINE } from '../base/lines.js';
import type { RunContext } from '../run/context.js';
import type { Reporter } from '../run/reporter.js';
import { connect } from './connect.js';
import type { OnLine, PeerExit, PeerStream } from './peer.js';
import { LastLines, PeerSession } from './peer-session.js';
import { exitFailure, isRefusedBySudo } from './peer-verdict.js';
import type { RemoteOptions } from './request.js';
import { LIMITS } from './stall-watch.js';

/** Characters of standard output that are looked at: a chain of many thousand links has far fewer. */
const LONGEST_ANSWER = 64 * 1024 * 1024;
/** For each line, however short, in the same measure: there may be very many. */
const COST_OF_LINE = 1024;

export interface PeerRequest {
  /** Undefined: this machine. */
  readonly host: string | undefined;
  readonly remote: RemoteOptions;
  /** The arguments, not quoted. */
  readonly args: readonly string[];
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
  /** Its last other output, the newest last. */
  readonly lastLines: readonly string[];
  /** It was ended because it took too long, after so many seconds. */
  readonly lateAfter: number | undefined;
}

/** Ends with the peer, however that ends. Throws (transport) only where the built-in client cannot reach it. */
export async function askPeer(request: PeerRequest, context: RunContext): Promise<PeerAnswer> {
  const { host, remote, args } = request;
  const heard = new Heard(request, context.reporter);
  const onLine: OnLine = (line, stream) => heard.take(line, stream);
  const session = new PeerSession(await connect({ host, remote, args, onLine }, context));
  void heard.whole.then(() => session.endSoon());
  session.guard({
    host: host ?? 'this machine',
    reporter: context.reporter,
    signal: context.signal,
    progress: () => heard.lines.length,
    limitSeconds: remote.timeoutSeconds ?? request.limitSeconds ?? LIMITS.answer,
  });
  const { exit, lateAfter } = await session.close();
  heard.end();
  const { lines, lastLines, isWhole } = heard;
  return { exit, lines, isWhole, lastLines, lateAfter };
}

/** The output of the peer: the lines that may be an answer, and the last of the others, which are shown. */
class Heard {
  readonly lines: string[] = [];
  readonly #last = new LastLines(LONGEST_LINE);
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

  get lastLines(): readonly string[] {
    return this.#last.lines;
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

  /** At the end of a line, or of everything. */
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
    this.#last.push(kept);
    this.#reporter.remote(kept, 'verbose');
  }
}

/** A shell's own, and those of ssh. */
const NOT_OF_LVMSYNC: readonly number[] = [126, 127, 255];

/** Throws (transport), with what to do about it, where it certainly was not lvmsync that ended. */
export function requirePeer(
  { host, remote }: { readonly host: string; readonly remote: RemoteOptions },
  { exit, lastLines }: PeerAnswer,
): void {
  const end = { host, remote, exit, lastLines };
  const status = exit.kind === 'status' ? exit.status : undefined;
  if (status !== undefined && !NOT_OF_LVMSYNC.includes(status) && !isRefusedBySudo(end)) return;
  throw exitFailure(end);
}

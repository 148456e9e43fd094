/** Runs this program where a destination is, with nothing to read, and collects what it answers. */

import { connect } from './connect.js';
import { LONGEST_LINE } from './lines.js';
import type { RemoteOptions } from './options.js';
import { judge } from './peer-verdict.js';
import type { RunContext } from './run-context.js';
import { closeInput, type OnLine, type PeerExit } from './transport.js';

/** Characters of an answer: a chain of many thousand links has far less. */
const LONGEST_ANSWER = 64 * 1024 * 1024;
/** Lines of stderr that are kept for the words after a failure. */
const KEPT_LINES = 4;

export interface PeerRequest {
  /** Undefined: this machine. */
  readonly host: string | undefined;
  readonly remote: RemoteOptions;
  /** The arguments, not quoted. */
  readonly words: readonly string[];
  /** After so long it is ended; undefined: never. */
  readonly timeoutSeconds: number | undefined;
}

export interface PeerAnswer {
  readonly exit: PeerExit;
  /** Whole lines of its standard output. */
  readonly text: string;
  /** What it said last on stderr, the newest last. */
  readonly lastLines: readonly string[];
  /** It was ended because it took too long. */
  readonly isLate: boolean;
}

/** Ends with the peer, however that ends. Throws (transport) only where the built-in client cannot reach it. */
export async function askPeer(request: PeerRequest, context: RunContext): Promise<PeerAnswer> {
  const { host, remote, words, timeoutSeconds } = request;
  const lastLines: string[] = [];
  let text = '';
  const onLine: OnLine = (line, stream) => {
    if (stream === 'stdout') {
      // A long line comes in pieces, which only its end tells apart: an answer is one line of any length.
      const end = line.length < LONGEST_LINE ? '\n' : '';
      if (text.length < LONGEST_ANSWER) text += `${line}${end}`;
      return;
    }
    lastLines.push(line);
    if (lastLines.length > KEPT_LINES) lastLines.shift();
    context.reporter.remote(line, 'verbose');
  };
  const peer = await connect({ host, remote, words, onLine }, context);
  let isLate = false;
  const giveUp = (): void => {
    isLate = true;
    peer.kill();
  };
  const timer = timeoutSeconds && setTimeout(giveUp, timeoutSeconds * 1000);
  context.signal.addEventListener('abort', peer.kill);
  if (context.signal.aborted) peer.kill();
  try {
    await closeInput(peer);
    return { exit: await peer.exited, text, lastLines, isLate };
  } finally {
    clearTimeout(timer);
    context.signal.removeEventListener('abort', peer.kill);
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

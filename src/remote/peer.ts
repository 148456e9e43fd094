/** A peer that takes a byte stream: a command such as ssh, or a channel of the ssh2 package. */

import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { errnoOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';
import { LineSplitter } from '../base/lines.js';
import { native } from '../host/native.js';

/** How a peer ended. */
export type PeerExit =
  | { readonly kind: 'status'; readonly status: number }
  /** `isOfPeer`: it ended the program that was asked for, not the command that connects to it. */
  | { readonly kind: 'signal'; readonly signal: string; readonly isOfPeer?: true }
  /** It could not be reached or started, or the connection broke after it had been. */
  | { readonly kind: 'failed'; readonly error: LvmsyncError; readonly hadStarted?: true };

export type PeerStream = 'stdout' | 'stderr';

export interface Peer {
  /** The write end of a pipe; what is written is the peer's input. Whoever connected ends it: closeInput. */
  readonly inputFd: number;
  /** Bytes that were taken from that pipe and never left for the peer, as far as can be known here. */
  heldBytes(): number;
  /** Resolves when the peer has ended and what it printed was handed over; never rejects. */
  readonly exited: Promise<PeerExit>;
  /** Ends it now. */
  kill(): void;
}

/** Takes each line that the peer prints. */
export type OnLine = (line: string, stream: PeerStream) => void;

/**
 * Output from before the end arrives within this time, or never: a ControlMaster that ssh left
 * behind keeps stderr open. Milliseconds.
 */
const LAST_WORDS_MS = 500;

/**
 * Closes the peer's input and resolves when the peer has ended: with how many bytes it never read. A
 * whole small stream fits into the pipe, so that one that ends with status 0 may have read nothing.
 */
export async function closeInput(peer: Peer): Promise<number> {
  const { inputFd, exited } = peer;
  // A read end of our own keeps what is in the pipe; the peer sees its end all the same.
  const pipe = openSync(`/proc/self/fd/${inputFd}`, constants.O_RDONLY | constants.O_NONBLOCK);
  closeSync(inputFd);
  try {
    await exited;
    return takeRest(pipe) + peer.heldBytes();
  } finally {
    closeSync(pipe);
  }
}

/** Reads what is left of the pipe, so that nothing that the peer left behind can read it. Returns its bytes. */
function takeRest(pipe: number): number {
  const piece = Buffer.alloc(PIECE);
  let total = 0;
  try {
    for (let count = readSync(pipe, piece); count > 0; count = readSync(pipe, piece)) {
      total += count;
    }
  } catch (error) {
    // Somebody else may write to it still, and has written nothing.
    if (errnoOf(error) !== 'EAGAIN') throw error;
  }
  return total;
}

const PIECE = 64 * 1024;

/** Starts `argv` with a pipe as its input. `isPeer`: it is the peer itself; else it connects to that. */
export function connectCommand(argv: readonly string[], onLine: OnLine, isPeer = false): Peer {
  const [program = '', ...rest] = argv;
  const { readFd, writeFd } = native.makePipe('ours');
  const { NODE_OPTIONS: _ours, ...env } = process.env;
  const child = spawn(program, rest, { stdio: [readFd, 'pipe', 'pipe'], env });
  closeSync(readFd);
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('a child without pipes');
  const printed = Promise.all([
    relayLines(stdout, (line) => onLine(line, 'stdout')),
    relayLines(stderr, (line) => onLine(line, 'stderr')),
  ]);
  const exited = new Promise<PeerExit>((resolve) => {
    child.once('error', (cause) => resolve({ kind: 'failed', error: cannotStart(program, cause) }));
    child.once('exit', (status, signal) => {
      resolve(
        status === null
          ? { kind: 'signal', signal: signal ?? '', ...(isPeer && { isOfPeer: true }) }
          : { kind: 'status', status },
      );
    });
  });
  return {
    inputFd: writeFd,
    heldBytes: () => 0,
    exited: afterLastWords(exited, printed, [stdout, stderr]),
    kill: () => child.kill('SIGKILL'),
  };
}

/** Hands over each line of the stream; resolves at its end, also where that is a failure. */
export async function relayLines(stream: Readable, onLine: (line: string) => void): Promise<void> {
  const splitter = new LineSplitter();
  try {
    // The end of what it prints must not destroy the other direction of the same channel.
    const pieces = stream.iterator({ destroyOnReturn: false });
    for await (const bytes of pieces) splitter.push(bytes).forEach(onLine);
  } catch {
    // The exit status shows how the peer ended; its output until here counts.
  }
  splitter.end().forEach(onLine);
}

async function afterLastWords(
  exited: Promise<PeerExit>,
  printed: Promise<unknown>,
  streams: readonly Readable[],
): Promise<PeerExit> {
  const exit = await exited;
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise((resolve) => {
    timer = setTimeout(resolve, LAST_WORDS_MS);
  });
  await Promise.race([printed, patience]);
  clearTimeout(timer);
  for (const stream of streams) stream.destroy();
  return exit;
}

function cannotStart(program: string, cause: Error): LvmsyncError {
  const missing = 'code' in cause && cause.code === 'ENOENT';
  const hint = program === 'ssh' ? 'Install it: apt install openssh-client' : 'See --rsh.';
  return new LvmsyncError(
    'transport',
    `${program}: cannot be started (${missing ? 'no such program' : cause.message})`,
    { hint, cause },
  );
}

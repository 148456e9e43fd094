/** A peer that takes a byte stream: rsh.ts makes one of a command such as ssh, ssh2.ts one of a channel of that package. */

import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { errnoOf } from '../base/errno.js';
import type { LvmsyncError } from '../base/errors.js';
import { LineSplitter } from '../base/lines.js';

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

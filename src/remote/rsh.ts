/** The transport of a command such as ssh: starts it, and takes what it prints. */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { LvmsyncError } from '../base/errors.js';
import { native } from '../host/native.js';
import { type OnLine, type Peer, type PeerExit, relayLines } from './peer.js';

/**
 * Output from before the end arrives within this time, or never: a ControlMaster that ssh left
 * behind keeps stderr open. Milliseconds.
 */
const LAST_WORDS_MS = 500;
const LAST_WORDS_STEPS = 10;

/** Starts `argv` with a pipe as its input. `isPeer`: it is the peer itself; else it connects to that. */
export function connectCommand(argv: readonly string[], onLine: OnLine, isPeer = false): Peer {
  const [program = ''] = argv;
  const { readFd, writeFd } = native.makePipe('ours');
  const child = startProgram(argv, [readFd, 'pipe', 'pipe']);
  closeSync(readFd);
  const streams = [
    [child.stdout, (line) => onLine(line, 'stdout')],
    [child.stderr, (line) => onLine(line, 'stderr')],
  ] satisfies Printed[];
  return {
    inputFd: writeFd,
    heldBytes: () => 0,
    exited: exitOf(child, { program, streams, isPeer }),
    kill: () => child.kill('SIGKILL'),
  };
}

/** With the environment of the user, without what is meant for our Node. Whether it could be started, `exitOf` tells. */
export function startProgram(argv: readonly string[], stdio: StdioOptions): ChildProcess {
  const [program = '', ...rest] = argv;
  const { NODE_OPTIONS: _ours, ...env } = process.env;
  return spawn(program, rest, { stdio, env });
}

/** A stream of a child, and who takes its lines. */
export type Printed = readonly [stream: Readable | null, onLine: (line: string) => void];

export interface Started {
  readonly program: string;
  readonly streams: readonly Printed[];
  /** It is the peer itself; else it connects to that. */
  readonly isPeer?: boolean;
}

/** Resolves when it has ended and what it printed was handed over; never rejects. */
export function exitOf(
  child: ChildProcess,
  { program, streams, isPeer = false }: Started,
): Promise<PeerExit> {
  const printed = Promise.all(
    streams.map(([stream, onLine]) => stream && relayLines(stream, onLine)),
  );
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
  return afterLastWords(
    exited,
    printed,
    streams.flatMap(([stream]) => stream ?? []),
  );
}

async function afterLastWords(
  exited: Promise<PeerExit>,
  printed: Promise<unknown>,
  streams: readonly Readable[],
): Promise<PeerExit> {
  const exit = await exited;
  let isRead = false;
  const all = printed.then(() => {
    isRead = true;
  });
  // Step by step, with a look at the streams in between: on a busy machine all of this time may pass at once.
  for (let step = 0; step < LAST_WORDS_STEPS && !isRead; step++) {
    await Promise.race([all, sleep(LAST_WORDS_MS / LAST_WORDS_STEPS)]);
  }
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

/** The transport of a command such as ssh: starts it, and takes what it prints. */

import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { LvmsyncError } from '../base/errors.js';
import { native } from '../host/native.js';
import { type OnLine, type Peer, type PeerExit, relayLines } from './peer.js';

/**
 * Output from before the end arrives within this time, or never: a ControlMaster that ssh left
 * behind keeps stderr open. Milliseconds.
 */
const LAST_WORDS_MS = 500;

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

/** From how a peer ended to the outcome of the run. Pure. */

import { basename } from 'node:path';
import { type ErrorContext, EXIT, type ExitName, LvmsyncError } from '../base/errors.js';
import { counted } from '../base/text.js';
import type { Done, Failed } from '../stream/answer-lines.js';
import { adviceOf } from './destination-name.js';
import type { PeerExit } from './peer.js';
import type { RemoteOptions } from './request.js';
import { failureIn } from './said-failure.js';

export interface PeerOutcome {
  /** As the user named it. */
  readonly host: string;
  readonly exit: PeerExit;
  /** How it was started; undefined where sudo plays no part. */
  readonly remote?:
    | (Pick<RemoteOptions, 'sudo' | 'program'> & Partial<Pick<RemoteOptions, 'rsh'>>)
    | undefined;
  /** The stream was written to its last byte before the peer ended. */
  readonly sentAll: boolean;
  /** Bytes of the stream that were in the pipe when the peer had ended. */
  readonly unreadBytes: number;
  readonly ready: boolean;
  readonly result: Done | Failed | undefined;
  readonly sent: { readonly records: number; readonly bytes: number; readonly digest: string };
  /** Last words on stderr. */
  readonly lastLines: readonly string[];
  /** Those that a message has to repeat; default: all. */
  readonly unseenLines?: readonly string[];
  /** No answer is a failure. */
  readonly requireAck: boolean;
  /** The stream has no frames, so no answer can come. */
  readonly classic: boolean;
  /** It was a turn of a chain: when that is confirmed it is recorded, and the receiver only clears up. */
  readonly isTurn?: boolean;
  /** It had reported how it ended, but its connection did not end: we cut it. */
  readonly wasCut?: boolean;
}

/**
 * Whether the receiver proved that everything arrived. Throws an LvmsyncError for every other end:
 * the receiver's own failure under its own exit status, everything else as 'transport'.
 */
export function judge(outcome: PeerOutcome): { readonly verified: boolean } {
  const { exit, result } = outcome;
  const mayBeCutOff = outcome.isTurn === true || outcome.wasCut === true;
  if (mayBeCutOff && wasCutOff(exit) && isConfirmed(outcome)) return { verified: true };
  const endedWell = exit.kind === 'status' && exit.status === 0;
  if (!endedWell || result?.kind === 'failed') throw exitFailure(outcome);
  if (!outcome.sentAll)
    throw broken(outcome, 'ended before everything was sent, although with status 0');
  if (outcome.unreadBytes > 0) {
    const unread = outcome.unreadBytes === 1 ? 'byte' : counted(outcome.unreadBytes, 'byte');
    throw broken(outcome, `ended with status 0, but did not read the last ${unread}`);
  }
  if (result === undefined) return unanswered(outcome);
  if (!isConfirmed(outcome)) throw broken(outcome, 'reports other data than was sent');
  return { verified: true };
}

/** The facts on a peer that has ended. */
export type PeerEnd = Pick<PeerOutcome, 'host' | 'exit' | 'lastLines'> &
  Partial<Pick<PeerOutcome, 'result' | 'ready' | 'remote' | 'unseenLines'>>;

/** The failure of a peer that ended before it had done what it was asked for. */
export function exitFailure(end: PeerEnd): LvmsyncError {
  const { exit, result } = end;
  if (result?.kind === 'failed') return receiverFailure(end, result);
  if (exit.kind === 'failed') return exit.error;
  if (exit.kind === 'signal') return killed(end, exit);
  if (isRefusedBySudo(end)) return sudoFailure(end);
  if (exit.status !== 0) return statusFailure(end, exit.status);
  return broken(end, 'ended without an answer, although with status 0');
}

/** The signal ended the program there only where that is known; else the command here that connects to it. */
function killed(end: PeerEnd, { signal, isOfPeer }: PeerExit & { kind: 'signal' }): LvmsyncError {
  if (isOfPeer) return broken(end, `was ended by ${signal}`);
  const [program] = end.remote?.rsh ?? [];
  const who = program === undefined ? 'the command that connects to it' : basename(program);
  return brokenBy(end, `${who} on this machine was ended by ${signal}`);
}

/** By a signal, or with the connection: not by a failure that it reported. */
function wasCutOff(exit: PeerExit): boolean {
  return exit.kind !== 'status' || exit.status > FIRST_OF_SIGNALS;
}

/** A shell ends with this and the number of the signal. */
const FIRST_OF_SIGNALS = 128;

function isConfirmed({ result, sent, sentAll }: PeerOutcome): boolean {
  if (!sentAll || result?.kind !== 'done') return false;
  const { records, bytes, digest } = sent;
  return result.records === records && result.bytes === bytes && result.digest === digest;
}

/** Lines that either program prints when it fails. */
const FAILED = /^(FATAL ERROR:|APPLY FAILED)/;

function unanswered(outcome: PeerOutcome): { readonly verified: boolean } {
  if (outcome.ready) throw broken(outcome, 'ended without its result');
  // Something between us may have hidden its status.
  if (outcome.lastLines.some((line) => FAILED.test(line))) {
    throw broken(outcome, 'reports a failure, although with status 0');
  }
  if (outcome.requireAck) {
    const hint = outcome.classic
      ? 'A classic stream has no confirmation: leave out --format=classic or --require-ack.'
      : 'lvmsync there cannot confirm; without --require-ack lvmsync relies on its exit status.';
    throw broken(outcome, 'did not confirm what it received', hint);
  }
  return { verified: false };
}

export interface HasherOutcome extends PeerEnd {
  /** It said that it hashes. */
  readonly ready: boolean;
}

/** The failure of a hash side that ended, or could not be started, before it had answered everything. */
export function judgeHasher(outcome: HasherOutcome): LvmsyncError {
  const { exit, result, ready } = outcome;
  if (exit.kind !== 'status' || result?.kind === 'failed') return exitFailure(outcome);
  if (exit.status === NOT_FOUND || exit.status === SSH_FAILED || isRefusedBySudo(outcome)) {
    return exitFailure(outcome);
  }
  const known = HINTS.some(([pattern]) => pattern.test(outcome.lastLines.join(' | ')));
  if (ready || known)
    return broken(outcome, `ended with status ${exit.status} before its last answer`);
  return broken(
    outcome,
    `cannot verify: it ended with status ${exit.status}`,
    'It is the Ruby lvmsync, or too old a version. A sync still works with it.',
  );
}

/** With the next step that it printed, if nobody has read that yet. */
function receiverFailure(end: PeerEnd, { exitStatus, message }: Failed): LvmsyncError {
  const { host, ready, lastLines, unseenLines = lastLines } = end;
  // Later the sender knows better what helps.
  const hint = ready === true ? undefined : failureIn(unseenLines)?.hint;
  const context = hint === undefined ? {} : { hint: adviceOf(host, hint) };
  return new LvmsyncError(nameOf(exitStatus), `${host}: ${message}`, context);
}

/** The outcomes of a run that finished. */
const OUTCOMES: ReadonlySet<ExitName> = new Set(['done', 'different']);

/** A receiver cannot make us end with 0, nor with a status that means nothing. */
function nameOf(exitStatus: number): ExitName {
  for (const name of Object.keys(EXIT) as ExitName[]) {
    if (EXIT[name] === exitStatus && !OUTCOMES.has(name)) return name;
  }
  return 'transport';
}

/** The status of a shell that finds no such program. */
const NOT_FOUND = 127;
const SSH_FAILED = 255;

/** What sudo ends with where it starts nothing: sudoers(5). */
const SUDO_REFUSED = 1;
/** What this program prints when it fails, and what the Ruby lvmsync does. */
const OF_LVMSYNC = /^(FATAL ERROR:|APPLY FAILED|lvmsync: )|\.rb:\d+:/;

const OF_SUDO = /^sudo(-rs)?: /;

/** Whatever the language of its words is: it ended as sudo does, and nothing says that lvmsync was started. */
export function isRefusedBySudo(end: Omit<PeerEnd, 'host'>): boolean {
  const { exit, remote, ready, result, lastLines } = end;
  if (exit.kind !== 'status' || exit.status !== SUDO_REFUSED) return false;
  // The program that stands for ssh may use sudo, too.
  if (remote?.sudo !== true && !lastLines.some((line) => OF_SUDO.test(line))) return false;
  return ready !== true && result === undefined && !lastLines.some((line) => OF_LVMSYNC.test(line));
}

function sudoFailure(end: PeerEnd): LvmsyncError {
  const program = end.remote?.program ?? '';
  const isMissing = end.lastLines.some((line) => {
    const [name, subject = ''] = line.split(': ');
    return /^sudo(-rs)?$/.test(name ?? '') && subject.replace(/^['‘`]|['’]$/g, '') === program;
  });
  const [what, hint] = isMissing
    ? [`sudo does not find ${program} there`, FOR_SUDO.program]
    : ['sudo refused to run lvmsync there (status 1)', FOR_SUDO.user];
  return new LvmsyncError('transport', `${end.host}: ${what}${saidBy(end)}`, { hint });
}

const FOR_SUDO = {
  program:
    'Install lvmsync there, or name it with --remote-path: sudo looks in its own "secure_path".',
  user: 'Add to sudoers on that host: USER ALL=(root) NOPASSWD: /path/to/lvmsync, and no "requiretty" for USER. Or log in as root, without --sudo.',
  missing:
    'Install what its output names. Where there is no sudo, log in as root and leave out --sudo.',
};

function statusFailure(outcome: PeerEnd, status: number): LvmsyncError {
  if (status === NOT_FOUND && outcome.remote?.sudo === true) {
    const what = "sudo or lvmsync's interpreter was not found there (status 127)";
    return brokenBy(outcome, what, FOR_SUDO.missing);
  }
  if (status === NOT_FOUND) {
    return broken(
      outcome,
      'was not found (status 127)',
      'Install lvmsync there, or name it with --remote-path.',
    );
  }
  if (status === SSH_FAILED) {
    return broken(
      outcome,
      'failed: the host could not be reached, or the connection broke (status 255)',
    );
  }
  const name = Object.entries(EXIT).find(([, value]) => value === status)?.[0];
  const meaning = name === undefined || status <= 1 ? '' : `: ${name}`;
  return broken(outcome, `ended with status ${status}${meaning}. APPLY FAILED.`);
}

/** The last line of an ssh that got no further than the login. */
const NEVER_CONNECTED =
  /^ssh: (connect to host|Could not resolve hostname) |^Host key verification failed\.|: Permission denied \(/;

/** False only where it is certain that no receiver was started. `lastLines` as in PeerOutcome. */
export function mayHaveRun(end: Omit<PeerEnd, 'host'>): boolean {
  const { exit, lastLines } = end;
  if (exit.kind === 'failed') return exit.hadStarted === true;
  if (exit.kind === 'signal') return true;
  if (exit.status === NOT_FOUND || isRefusedBySudo(end)) return false;
  return exit.status !== SSH_FAILED || !NEVER_CONNECTED.test(lastLines.at(-1) ?? '');
}

/** Messages of ssh and shells, and what to do about them. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key for .* has changed/,
    'The host key has changed. Find out why before you remove the old one with ssh-keygen -R.',
  ],
  [/Host key for .* was revoked/, 'Its administrator must give it a new host key.'],
  [
    /Host key verification failed|authenticity of host|host key is known/i,
    'Its key is not known here: connect once by hand with ssh, compare the key, and accept it.',
  ],
  [
    /Permission denied \(|Too many authentication failures/,
    'The login was refused: check the user name, the key, and ssh-agent.',
  ],
  [/Could not resolve|Name or service not known/, 'Check the name of the host.'],
  [
    /Connection (refused|timed out|reset|closed)|No route to host|Broken pipe/,
    'Check the network and the ssh server there.',
  ],
  [/command not found|: not found/, 'Install lvmsync there, or name it with --remote-path.'],
  [/Permission denied|Operation not permitted/, 'It needs root: log in as root, or use --sudo.'],
];

type Words = Pick<PeerOutcome, 'host' | 'lastLines' | 'unseenLines'>;

function broken(outcome: Words, what: string, hint?: string): LvmsyncError {
  return brokenBy(outcome, `the remote command ${what}`, hint);
}

function brokenBy(outcome: Words, what: string, hint?: string): LvmsyncError {
  const words = outcome.lastLines.join(' | ');
  const advice = hint ?? HINTS.find(([pattern]) => pattern.test(words))?.[1];
  const context: ErrorContext = advice === undefined ? {} : { hint: advice };
  const message = `${outcome.host}: ${what}${saidBy(outcome)}`;
  return new LvmsyncError('transport', message, context);
}

function saidBy({ lastLines, unseenLines = lastLines }: Words): string {
  return outputOf(unseenLines);
}

/** The last words of a peer, as a message ends with them; nothing where it printed nothing. */
export function outputOf(lastLines: readonly string[]): string {
  return lastLines.length === 0 ? '' : ` (its output: ${lastLines.join(' | ')})`;
}

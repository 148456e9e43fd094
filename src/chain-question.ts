/** Asks the machine of a destination, before a turn, what its chain says that the destination holds. */

import { isDoing, isObject, isPoint } from './chain-record.js';
import { connect } from './connect.js';
import type { ChainState } from './cycle-plan.js';
import { EXIT, LvmsyncError } from './errors.js';
import type { CycleCommand } from './options.js';
import { judge } from './peer-verdict.js';
import { hostName } from './remote-name.js';
import { interrupted, type RunContext } from './run-context.js';
import { escapeText } from './text.js';
import { closeInput, type OnLine, type PeerExit } from './transport.js';

/** Characters of an answer: a chain of many thousand links has far less. */
const LONGEST_ANSWER = 64 * 1024 * 1024;
/** Lines of stderr that are kept for the words after a failure. */
const KEPT_LINES = 4;

interface Outcome {
  readonly exit: PeerExit;
  readonly answer: string;
  readonly lastLines: readonly string[];
}

/**
 * Throws (transport) if it cannot be asked or answers what is no answer, (destinationUnfit) if the
 * destination is not the one of the chain, unless that is forced.
 */
export async function askChain(command: CycleCommand, context: RunContext): Promise<ChainState> {
  const host = hostName(command.destination);
  const outcome = await ask(command, context);
  if (context.signal.aborted) throw interrupted(context.signal, { state: 'Nothing was sent.' });
  refuseFailure(host, outcome);
  return parseAnswer(outcome.answer, { host, force: command.force });
}

async function ask(command: CycleCommand, context: RunContext): Promise<Outcome> {
  const { destination, chain, remote } = command;
  const lastLines: string[] = [];
  let answer = '';
  const onLine: OnLine = (line, stream) => {
    if (stream === 'stdout') {
      answer += answer.length < LONGEST_ANSWER ? `${line}\n` : '';
      return;
    }
    lastLines.push(line);
    if (lastLines.length > KEPT_LINES) lastLines.shift();
    context.reporter.remote(line, 'verbose');
  };
  const words = ['chain', '--json', '--', chain.directory, destination.path];
  const peer = await connect({ host: destination.host, remote, words, onLine }, context);
  let isLate = false;
  const giveUp = (): void => {
    isLate = true;
    peer.kill();
  };
  const { timeoutSeconds } = remote;
  const timer = timeoutSeconds && setTimeout(giveUp, timeoutSeconds * 1000);
  context.signal.addEventListener('abort', peer.kill);
  try {
    await closeInput(peer);
    if (isLate) throw late(command);
    return { exit: await peer.exited, answer, lastLines };
  } finally {
    clearTimeout(timer);
    context.signal.removeEventListener('abort', peer.kill);
  }
}

function late({ destination, remote: { timeoutSeconds } }: CycleCommand): LvmsyncError {
  const message = `${hostName(destination)}: no answer for ${timeoutSeconds} seconds: given up`;
  return new LvmsyncError('transport', message, { state: 'Nothing was sent.' });
}

/** What our own program ends with when it has answered: what is wrong stands in the answer. */
const ANSWERED: readonly number[] = [EXIT.done, EXIT.destinationUnfit, EXIT.streamCorrupt];
/** A shell's own, and those of ssh and sudo. */
const NOT_OF_LVMSYNC: readonly number[] = [126, 127, 255];

function refuseFailure(host: string, { exit, answer, lastLines }: Outcome): void {
  const said = lastLines.map((line) => escapeText(line, 400)).join(' | ');
  const status = exit.kind === 'status' ? exit.status : undefined;
  if (status !== undefined && ANSWERED.includes(status) && answer !== '') return;
  if (status === undefined || NOT_OF_LVMSYNC.includes(status) || /^sudo: /.test(said)) {
    const nothing = { ready: false, result: undefined, unreadBytes: 0, requireAck: true };
    const sent = { records: 0, bytes: 0, digest: '' };
    judge({ ...nothing, host, exit, sent, lastLines, sentAll: false, classic: false });
  }
  throw new LvmsyncError(
    'transport',
    `${host}: the lvmsync there does not tell of its chain, status ${status} (it said: ${said})`,
    {
      state: 'Nothing was sent.',
      hint: 'A cycle needs this program on both sides; the Ruby lvmsync keeps no chain.',
    },
  );
}

function parseAnswer(
  text: string,
  { host, force }: { readonly host: string; readonly force: boolean },
): ChainState {
  const fields = fromJson(text);
  const { point, doing, mismatch } = fields ?? {};
  if (typeof mismatch === 'string' && !force) {
    throw new LvmsyncError('destinationUnfit', `${host}: ${escapeText(mismatch, 400)}`, {
      state: 'Nothing was sent.',
      hint: 'If it was only made larger, --force takes it as it is.',
    });
  }
  const known = (point === null || isPoint(point)) && (doing === null || isDoing(doing));
  if (!known) {
    throw new LvmsyncError('transport', `${host}: what it says of its chain cannot be read`, {
      state: 'Nothing was sent.',
      hint: 'Is the same version of lvmsync on both sides?',
    });
  }
  return { point: point ?? undefined, doing: doing ?? undefined };
}

function fromJson(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

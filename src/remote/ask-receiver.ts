/**
 * Asks the receiver, before a run, whether it would take the stream: `lvmsync --apply - --dry-run` gets the
 * beginning of one, does every check of a run, and answers without having opened anything for writing.
 */

import { LvmsyncError, withContext } from '../base/errors.js';
import type { ExtentList } from '../device/extent.js';
import { isNativeError } from '../host/native.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import type { Source } from '../source/source.js';
import { ChangeWriter, newStreamId } from '../stream/change-writer.js';
import { DRY_RUN } from '../stream/control-frame.js';
import { streamAttributes } from '../stream/device-facts.js';
import { connect } from './connect.js';
import { hostName } from './destination-name.js';
import { closeInput, endSoon, type OnLine, type Peer, type PeerExit } from './peer.js';
import { PeerOutput } from './peer-output.js';
import { judge } from './peer-verdict.js';
import { receiverArguments } from './remote-command.js';
import type { SendRequest } from './request.js';
import { LIMITS, noAnswer, watchForStall } from './stall-watch.js';
import { zeroFacts } from './wire-stream.js';

export interface ReceiverQuestion {
  readonly source: Pick<Source, 'device' | 'attributes' | 'copySize'>;
  /** Bytes that would be written. */
  readonly totalBytes: number;
  /** Of these: what may be sent as discards. */
  readonly zeros: ExtentList;
  readonly command: SendRequest;
}

/** Resolves if it would begin. Throws its own refusal, or (transport) where it cannot be asked. */
export async function askReceiver(question: ReceiverQuestion, context: RunContext): Promise<void> {
  const { command } = question;
  const streamId = newStreamId();
  const output = new PeerOutput(context.reporter, Buffer.from(streamId).toString('hex'));
  const onLine: OnLine = (line, stream) => output.take(line, stream);
  const words = ['--dry-run', ...receiverArguments(command)];
  const { host } = command.destination;
  const peer = await connect({ host, remote: command.remote, words, onLine }, context);
  const end = await conversation(peer, { question, streamId, output }, context);
  output.end();
  const { exit } = end;
  const { ready, result, lastLines } = output;
  if (context.signal.aborted) throw interrupted(context.signal, UNTOUCHED);
  if (end.lateAfter !== undefined) throw silent(command, end.lateAfter);
  if (ready && result === undefined && (end.wasCut || isDone(exit))) return;
  const answered = result !== undefined || ready;
  if (!answered && exit.kind === 'status' && [0, 1].includes(exit.status)) {
    throw cannotBeAsked(command, lastLines);
  }
  const sent = { records: 0, bytes: 0, digest: '' };
  const about = { host: hostName(command.destination), exit, ready, result, lastLines, sent };
  judge({ ...about, sentAll: false, unreadBytes: 0, requireAck: true, classic: false });
}

interface Conversation {
  readonly question: ReceiverQuestion;
  readonly streamId: Uint8Array;
  readonly output: PeerOutput;
}

interface End {
  readonly exit: PeerExit;
  /** It had answered, and did not end. */
  readonly wasCut: boolean;
  /** Ended after so many seconds without an answer. */
  readonly lateAfter: number | undefined;
}

async function conversation(
  peer: Peer,
  { question, streamId, output }: Conversation,
  { signal, reporter }: RunContext,
): Promise<End> {
  const { remote, destination } = question.command;
  const kill = (): void => peer.kill();
  const limitSeconds = remote.timeoutSeconds ?? LIMITS.answer;
  let lateAfter: number | undefined;
  let cut = { wasCut: false };
  const forget = watchForStall({
    host: hostName(destination),
    reporter,
    progress: () => output.signsOfLife,
    limitSeconds,
    onTimeout: () => {
      lateAfter = limitSeconds;
      kill();
    },
  });
  void output.answered.then(() => {
    forget();
    cut = endSoon(peer);
  });
  signal.addEventListener('abort', kill);
  if (signal.aborted) kill();
  try {
    await begin(peer, question, streamId);
    await closeInput(peer);
    return { exit: await peer.exited, wasCut: cut.wasCut, lateAfter };
  } finally {
    forget();
    signal.removeEventListener('abort', kill);
  }
}

async function begin(
  { inputFd }: Peer,
  { source, totalBytes, zeros }: ReceiverQuestion,
  streamId: Uint8Array,
): Promise<void> {
  const facts = {
    kind: 'wire',
    deviceSize: source.device.size,
    sorted: true,
    totalBytes,
    attributes: { ...(await streamAttributes(source)), ...zeroFacts(zeros), question: DRY_RUN },
  } as const;
  try {
    await ChangeWriter.framed(inputFd, facts, { streamId });
  } catch (error) {
    // One that ends before it has read the question says why.
    if (!isNativeError(error)) throw error;
  }
}

const UNTOUCHED = { state: 'Nothing was written there.' };

function isDone(exit: PeerExit): boolean {
  return exit.kind === 'status' && exit.status === 0;
}

function silent({ destination }: SendRequest, seconds: number): LvmsyncError {
  return withContext(noAnswer(hostName(destination), seconds), UNTOUCHED);
}

function cannotBeAsked(command: SendRequest, lastLines: readonly string[]): LvmsyncError {
  const host = hostName(command.destination);
  const said = lastLines.length === 0 ? '' : ` (it said: ${lastLines.join(' | ')})`;
  return new LvmsyncError('transport', `${host}: the lvmsync there knows no dry run${said}`, {
    ...UNTOUCHED,
    hint: 'It is the Ruby lvmsync, or one of ours that is too old; whether it would take a run cannot be told.',
  });
}

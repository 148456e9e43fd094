/**
 * Asks the receiver, before a run, whether it would take the stream: `lvmsync --apply - --dry-run` gets the
 * beginning of one, does every check of a run, and answers without having opened anything for writing.
 */

import { LvmsyncError, UNTOUCHED_THERE, withContext } from '../base/errors.js';
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
import type { OnLine, PeerExit } from './peer.js';
import { PeerOutput } from './peer-output.js';
import { PeerSession, type SessionEnd } from './peer-session.js';
import { exitFailure, isRefusedBySudo, outputOf } from './peer-verdict.js';
import { receiverArguments } from './remote-command.js';
import type { SendRequest } from './request.js';
import { LIMITS, noAnswer } from './stall-watch.js';
import { zeroFacts } from './wire-stream.js';

export interface ReceiverQuestion {
  readonly source: Pick<Source, 'device' | 'attributes' | 'copySize' | 'headKinds'>;
  /** Bytes that would be written. */
  readonly totalBytes: number;
  /** The part of these that may be sent as discards. */
  readonly zeros: ExtentList;
  readonly command: SendRequest;
}

/** Resolves if it would begin. Throws its own refusal, or (transport) where it cannot be asked. */
export async function askReceiver(question: ReceiverQuestion, context: RunContext): Promise<void> {
  const { command } = question;
  const streamId = newStreamId();
  const output = new PeerOutput(context.reporter, Buffer.from(streamId).toString('hex'));
  const onLine: OnLine = (line, stream) => output.take(line, stream);
  const args = ['--dry-run', ...receiverArguments(command)];
  const { host } = command.destination;
  const session = new PeerSession(
    await connect({ host, remote: command.remote, args, onLine }, context),
  );
  const end = await converse(session, { question, streamId, output }, context);
  output.end();
  const { exit } = end;
  const { ready, result, lastLines, unseenLines } = output;
  if (context.signal.aborted) throw interrupted(context.signal, UNTOUCHED_THERE);
  if (end.lateAfter !== undefined) throw silent(command, end.lateAfter);
  if (ready && result === undefined && (end.wasCut || isDone(exit))) return;
  const answered = result !== undefined || ready;
  const peerEnd = {
    ...{ host: hostName(command.destination), remote: command.remote },
    ...{ exit, ready, result, lastLines, unseenLines },
  };
  const mayBeOld = exit.kind === 'status' && [0, 1].includes(exit.status);
  if (!answered && mayBeOld && !isRefusedBySudo(peerEnd)) throw cannotBeAsked(command, unseenLines);
  throw withContext(exitFailure(peerEnd), UNTOUCHED_THERE);
}

interface Conversation {
  readonly question: ReceiverQuestion;
  readonly streamId: Uint8Array;
  readonly output: PeerOutput;
}

async function converse(
  session: PeerSession,
  { question, streamId, output }: Conversation,
  { signal, reporter }: RunContext,
): Promise<SessionEnd> {
  const { remote, destination } = question.command;
  session.guard({
    host: hostName(destination),
    reporter,
    signal,
    progress: () => output.signsOfLife,
    limitSeconds: remote.timeoutSeconds ?? LIMITS.answer,
  });
  void output.answered.then(() => session.endSoon());
  try {
    await ask(session.inputFd, question, streamId);
  } catch (error) {
    await session.close();
    throw error;
  }
  return session.close();
}

async function ask(
  inputFd: number,
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

function isDone(exit: PeerExit): boolean {
  return exit.kind === 'status' && exit.status === 0;
}

function silent({ destination }: SendRequest, seconds: number): LvmsyncError {
  return withContext(noAnswer({ host: destination.host }, seconds), UNTOUCHED_THERE);
}

function cannotBeAsked(command: SendRequest, unseenLines: readonly string[]): LvmsyncError {
  const host = hostName(command.destination);
  const said = outputOf(unseenLines);
  return new LvmsyncError('transport', `${host}: lvmsync there does not support --dry-run${said}`, {
    ...UNTOUCHED_THERE,
    hint: 'It is the Ruby lvmsync, or too old a version, so a run there cannot be checked in advance.',
  });
}

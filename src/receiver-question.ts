/**
 * Asks the receiver, before a run, whether it would take the stream: `lvmsync --apply - --dry-run` gets the
 * beginning of one, does every check of a run, and answers without having opened anything for writing.
 */

import { ChangeWriter, newStreamId } from './change-writer.js';
import { connect } from './connect.js';
import { DRY_RUN } from './control-frame.js';
import { streamAttributes } from './device-identity.js';
import { LvmsyncError } from './errors.js';
import { isNativeError } from './native.js';
import type { SendRequest } from './options.js';
import { PeerOutput } from './peer-output.js';
import { judge } from './peer-verdict.js';
import { receiverArguments } from './remote-command.js';
import { hostName } from './remote-name.js';
import { interrupted, type RunContext } from './run-context.js';
import type { Source } from './source.js';
import { closeInput, type OnLine, type Peer, type PeerExit } from './transport.js';

/** A login may take long; a program that is none of ours may wait for ever. Seconds. */
const PATIENCE = 60;

export interface ReceiverQuestion {
  readonly source: Pick<Source, 'device' | 'attributes' | 'copySize'>;
  /** Bytes that would be written. */
  readonly totalBytes: number;
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
  const late = { isSo: false };
  const exit = await conversation(peer, { question, streamId, late }, context);
  output.end();
  if (context.signal.aborted) throw interrupted(context.signal, UNTOUCHED);
  if (late.isSo) throw silent(command);
  const { ready, result, lastLines } = output;
  if (ready && exit.kind === 'status' && exit.status === 0) return;
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
  readonly late: { isSo: boolean };
}

async function conversation(
  peer: Peer,
  { question, streamId, late }: Conversation,
  { signal }: RunContext,
): Promise<PeerExit> {
  const kill = (): void => peer.kill();
  const seconds = question.command.remote.timeoutSeconds ?? PATIENCE;
  const timer = setTimeout(() => {
    late.isSo = true;
    kill();
  }, seconds * 1000);
  signal.addEventListener('abort', kill);
  if (signal.aborted) kill();
  try {
    await begin(peer, question, streamId);
    await closeInput(peer);
    return await peer.exited;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
  }
}

async function begin(
  { inputFd }: Peer,
  { source, totalBytes }: ReceiverQuestion,
  streamId: Uint8Array,
): Promise<void> {
  const facts = {
    kind: 'wire',
    deviceSize: source.device.size,
    sorted: true,
    totalBytes,
    attributes: { ...(await streamAttributes(source)), question: DRY_RUN },
  } as const;
  try {
    await ChangeWriter.framed(inputFd, facts, { streamId });
  } catch (error) {
    // One that ends before it has read the question says why.
    if (!isNativeError(error)) throw error;
  }
}

const UNTOUCHED = { state: 'Nothing was written there.' };

function silent(command: SendRequest): LvmsyncError {
  const host = hostName(command.destination);
  return new LvmsyncError('transport', `${host}: nothing there answers a dry run`, UNTOUCHED);
}

function cannotBeAsked(command: SendRequest, lastLines: readonly string[]): LvmsyncError {
  const host = hostName(command.destination);
  const said = lastLines.length === 0 ? '' : ` (it said: ${lastLines.join(' | ')})`;
  return new LvmsyncError('transport', `${host}: the lvmsync there knows no dry run${said}`, {
    ...UNTOUCHED,
    hint: 'It is the Ruby lvmsync, or one of ours that is too old; whether it would take a run cannot be told.',
  });
}

/** From how the two processes of a pull ended to the outcome of the run. Pure. */

import { EXIT, LvmsyncError } from '../base/errors.js';
import { hostName } from './destination-name.js';
import type { FetchEnd, ProcessEnd } from './fetch.js';
import { exitFailure } from './peer-verdict.js';
import type { RemoteOptions } from './request.js';
import { failureIn } from './said-failure.js';
import { noAnswer } from './stall-watch.js';

export interface Fetched extends FetchEnd {
  readonly host: string;
  readonly remote: RemoteOptions;
}

/** Throws unless both ended well. A failure of the source comes first where the receiver only saw its stream end. */
export function judgeFetch({ host, remote, source, receiver, lateAfter }: Fetched): void {
  const isWritten =
    receiver !== undefined && wentWell(receiver) && receiver.result?.kind === 'done';
  if (isWritten && wentWell(source)) return;
  if (isWritten) throw unconfirmed(host, source, lateAfter);
  if (lateAfter !== undefined && source.result === undefined) throw noAnswer({ host }, lateAfter);
  if (receiver !== undefined && !isCutOff(receiver)) throw receiverFailure(receiver);
  throw sourceFailure({ host, remote }, source);
}

function wentWell({ exit }: ProcessEnd): boolean {
  return exit.kind === 'status' && exit.status === 0;
}

/** Its input ended too early; why, the source knows. */
function isCutOff({ exit }: ProcessEnd): boolean {
  return exit.kind === 'status' && exit.status === EXIT.streamTruncated;
}

function receiverFailure(end: ProcessEnd): LvmsyncError {
  const { exit, result, lastLines, unseenLines } = end;
  const failed = result?.kind === 'failed' ? result : undefined;
  return exitFailure({
    ...{ host: hostName({}), exit, lastLines, unseenLines },
    result: failed ?? saidBy(end),
  });
}

function sourceFailure(
  place: Pick<Fetched, 'host' | 'remote'>,
  { result, ...end }: ProcessEnd,
): LvmsyncError {
  const said = result?.kind === 'failed' ? result : saidBy({ ...end, result });
  return exitFailure({ ...place, ...end, result: said });
}

/** Once the stream was asked for, the source has only its standard error to say why it ends. */
function saidBy({ exit, lastLines }: ProcessEnd): ProcessEnd['result'] {
  const said = failureIn(lastLines);
  if (said === undefined || exit.kind !== 'status' || exit.status === 0) return undefined;
  const { message } = said;
  return { kind: 'failed', streamId: '', exitStatus: exit.status, message };
}

/** The copy is complete, and the next run puts the rest right. */
function unconfirmed(
  host: string,
  { exit, lastLines }: ProcessEnd,
  lateAfter: number | undefined,
): LvmsyncError {
  const said = failureIn(lastLines)?.message;
  const ended = exit.kind === 'status' ? `ended with status ${exit.status}` : 'was cut off';
  const why = lateAfter === undefined ? ended : `did not end for ${lateAfter} s`;
  const words = said === undefined ? '' : `: ${said}`;
  return new LvmsyncError(
    'transport',
    `${host}: the source ${why} after the copy was complete${words}`,
    { hint: 'The next run removes the snapshot that it may have left.' },
  );
}

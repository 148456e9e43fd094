/** Has the lvmsync of another host examine that host, as the place of a destination. */

import { LvmsyncError } from '../../base/errors.js';
import { escapeText } from '../../base/text.js';
import { VERSION } from '../../base/version.js';
import type { DoctorCommand } from '../../cli/command.js';
import { askPeer, type PeerAnswer, requirePeer } from '../../remote/ask-peer.js';
import { outputOf } from '../../remote/peer-verdict.js';
import type { RemoteOptions } from '../../remote/request.js';
import { noAnswer } from '../../remote/stall-watch.js';
import type { RunContext } from '../../run/context.js';
import { interrupted } from '../../run/interruption.js';
import { judgeSize, type SourceSizes } from './destination.js';
import { type Diagnosis, failureOf, parseDiagnosis } from './report.js';

const SUBJECT = 'remote host';
/** The subject of the remote host's findings on its destination. */
const SUBJECT_OF_PLACE = 'destination';

export interface RemotePlace {
  readonly host: string;
  readonly path: string;
}

export async function examineRemote(
  { host, path }: RemotePlace,
  { command, source }: { readonly command: DoctorCommand; readonly source: SourceSizes },
  context: RunContext,
): Promise<Diagnosis[]> {
  const { remote, snapback } = command;
  const undo = snapback === undefined ? [] : ['--snapback', snapback];
  const args = ['doctor', '--json', ...undo, '--', '-', path];
  const last = snapback === undefined ? SUBJECT_OF_PLACE : 'snapback';
  const isLast = (line: string): boolean => parseDiagnosis(line)?.subject === last;
  try {
    const answer = await askPeer({ host, remote, args, isLast }, context);
    if (context.signal.aborted) throw interrupted(context.signal);
    const found = readAnswer({ host, remote }, answer);
    return found.flatMap((one) => judgeRemote(one, { host, path, source }));
  } catch (error) {
    if (!(error instanceof LvmsyncError) || context.signal.aborted) throw error;
    return [failureOf(SUBJECT, error)];
  }
}

function readAnswer(
  place: { readonly host: string; readonly remote: RemoteOptions },
  answer: PeerAnswer,
): readonly Diagnosis[] {
  const { host } = place;
  const found = answer.lines.flatMap((line) => parseDiagnosis(line) ?? []);
  if (found.some(({ subject }) => subject === SUBJECT_OF_PLACE)) return found;
  if (answer.lateAfter !== undefined) throw noAnswer({ host }, answer.lateAfter);
  requirePeer(place, answer);
  if (found.length > 0) {
    throw new LvmsyncError('transport', `${host}: its answer does not mention the destination`, {
      hint: 'The answer was cut off: run the command again.',
    });
  }
  const said = outputOf(answer.lastLines.map((line) => escapeText(line, 200)));
  const text = `lvmsync there has no doctor${said}`;
  const remedy = `It is the Ruby lvmsync, or too old a version: install ${VERSION} there.`;
  return [{ level: 'warning', subject: SUBJECT, text, remedy }];
}

function judgeRemote(
  found: Diagnosis,
  { host, path, source }: RemotePlace & { readonly source: SourceSizes },
): Diagnosis[] {
  const { subject, level, text, size, fileSize } = found;
  if (subject === 'destination' && level === 'ok') {
    const sizes = {
      ...(size !== undefined && { size }),
      ...(fileSize !== undefined && { fileSize }),
    };
    return judgeSize({ path, text, ...sizes }, source).map((one) => ({ ...one, host }));
  }
  if (subject === 'lvmsync' && text !== VERSION) {
    const both = `${text} there, ${VERSION} here: only the features that both support are used`;
    return [{ level: 'warning', subject, host, text: both, remedy: 'Install the same version.' }];
  }
  return [{ ...found, host }];
}

/** Asks the machine of a destination, before a turn, what its chain says that the destination holds. */

import { EXIT, LvmsyncError, withContext } from '../base/errors.js';
import { type Fields, isObject, objectIn } from '../base/json-object.js';
import { escapeText } from '../base/text.js';
import { isPendingStep, isPoint } from '../chain/record.js';
import { withSize } from '../destination/missing.js';
import { askPeer, type PeerAnswer, requirePeer } from '../remote/ask-peer.js';
import { adviceOf, hostName, placeName } from '../remote/destination-name.js';
import { outputOf } from '../remote/peer-verdict.js';
import type { RemoteOptions } from '../remote/request.js';
import { failureIn } from '../remote/said-failure.js';
import { LIMITS, noAnswer } from '../remote/stall-watch.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import type { Comparison } from '../stream/control-frame.js';
import type { ChainState } from './plan.js';
import type { CycleRequest } from './request.js';
import type { CycleOrigin } from './volumes.js';

/**
 * `origin` has the size of the volume in bytes; undefined where another host knows it. Throws (transport) if it cannot be asked or its answer cannot be understood,
 * (destinationUnfit) if the destination is not the one of the chain, unless that is forced.
 */
export async function askChain(
  command: Omit<CycleRequest, 'origin' | 'size' | 'hooks'>,
  origin: Pick<CycleOrigin, 'size'> | undefined,
  context: RunContext,
): Promise<ChainState> {
  const { destination, chain, remote, force, compare } = command;
  const host = hostName(destination);
  const args = ['chain', '--json', '--', chain.directory, destination.path];
  const isLast = (line: string): boolean => chainIn(line) !== undefined;
  const limitSeconds = LIMITS.chain;
  const request = { host: destination.host, remote, args, isLast, limitSeconds };
  const answer = await askPeer(request, context);
  if (answer.lateAfter !== undefined) {
    throw withContext(noAnswer({ host: destination.host }, answer.lateAfter), {
      state: 'Nothing was sent.',
    });
  }
  if (context.signal.aborted) throw interrupted(context.signal, { state: 'Nothing was sent.' });
  refuseFailure({ host, remote }, answer);
  const found = answer.lines.map(chainIn).filter((fields) => fields !== undefined);
  const where = placeName(destination);
  return parseAnswer(found.at(-1) ?? {}, {
    ...{ where, host, path: destination.path, force, size: origin?.size, compare },
  });
}

function chainIn(line: string): Fields | undefined {
  return objectIn(line, (one) => 'point' in one || 'mismatch' in one);
}

/** The statuses of our own program when it has answered: the answer names the problem. */
const ANSWERED: readonly number[] = [EXIT.done, EXIT.destinationUnfit, EXIT.streamCorrupt];
function refuseFailure(
  place: { readonly host: string; readonly remote: RemoteOptions },
  answer: PeerAnswer,
): void {
  const { exit, lines, isWhole, lastLines } = answer;
  if (isWhole && exit.kind === 'signal') return;
  const said = outputOf(lastLines.map((line) => escapeText(line, 400)));
  const status = exit.kind === 'status' ? exit.status : undefined;
  if (status !== undefined && ANSWERED.includes(status) && lines.length > 0) return;
  requirePeer(place, answer);
  const refusal = unusable(place.host, status, lastLines);
  if (refusal !== undefined) throw refusal;
  throw new LvmsyncError(
    'transport',
    `${place.host}: lvmsync there does not report its chain, status ${status}${said}`,
    {
      state: 'Nothing was sent.',
      hint: 'A cycle needs this lvmsync on both hosts; the Ruby lvmsync has no cycles.',
    },
  );
}

/** Its own words on a directory that it cannot read as a chain. */
function unusable(
  host: string,
  status: number | undefined,
  lastLines: readonly string[],
): LvmsyncError | undefined {
  const name = (['streamCorrupt', 'snapback'] as const).find((one) => EXIT[one] === status);
  const said = failureIn(lastLines);
  if (name === undefined || said === undefined) return undefined;
  const { message, hint } = said;
  return new LvmsyncError(name, `${host}: ${message}`, {
    state: 'Nothing was sent.',
    ...(hint !== undefined && { hint: adviceOf(host, hint) }),
  });
}

const OTHERWISE = 'If it does match its restore point, or was only enlarged, use --force.';

function parseAnswer(
  { point, doing, undone, mismatch, remedy, written }: Fields,
  {
    where,
    host,
    path,
    force,
    size,
    compare,
  }: {
    readonly where: string;
    readonly host: string;
    readonly path: string;
    readonly force: boolean;
    readonly size: number | undefined;
    readonly compare: Comparison | undefined;
  },
): ChainState {
  const isWritten = written === true;
  if (typeof mismatch === 'string' && !force && !(compare === 'any' && isWritten)) {
    const what = escapeText(mismatch, 400);
    // Its host cannot open it; of a copy that does not match the chain the advice is for both hosts.
    const isNamed = mismatch.startsWith(`${path}: `);
    const advice =
      typeof remedy === 'string'
        ? escapeText(size === undefined ? remedy : withSize(remedy, size), 600)
        : OTHERWISE;
    throw new LvmsyncError('destinationUnfit', isNamed ? `${host}: ${what}` : `${where}: ${what}`, {
      state: 'Nothing was sent.',
      // Older programs say no remedy.
      hint: isNamed ? adviceOf(host, advice) : advice,
    });
  }
  const known = (point === null || isPoint(point)) && (doing === null || isPendingStep(doing));
  if (!known) {
    throw new LvmsyncError('transport', `${host}: its report on the chain cannot be read`, {
      state: 'Nothing was sent.',
      hint: 'Is the same version of lvmsync on both hosts?',
    });
  }
  const wentBack = isObject(undone);
  return {
    ...{ point: point ?? undefined, doing: doing ?? undefined },
    ...(wentBack && { wentBack }),
    ...(isWritten && { written: true }),
  };
}

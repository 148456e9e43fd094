/**
 * `lvmsync cycle HOST:VG/LV DESTINATION --snapback DIR`, on the host of the copy: it starts the cycle run on the host of
 * the volume, and receives it. What goes wrong there is said by the source, so that this host needs to know no volume.
 */

import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type ErrorContext, EXIT, LvmsyncError, UNTOUCHED } from '../../base/errors.js';
import { localTime } from '../../base/local-time.js';
import { readRecord } from '../../chain/record.js';
import type { PullCommand } from '../../cli/command.js';
import { askChain } from '../../cycle/ask-chain.js';
import { type ChainState, planTurn } from '../../cycle/plan.js';
import {
  chainIdOf,
  formatGo,
  formatPullRequest,
  type PullMode,
  parseServes,
} from '../../cycle/pull-lines.js';
import { describeRefusal } from '../../cycle/refusal.js';
import { OWN_PROGRAM } from '../../host/addon.js';
import { fetchStream } from '../../remote/fetch.js';
import { judgeFetch } from '../../remote/fetch-verdict.js';
import { argvTo, manners, receiverArguments } from '../../remote/remote-command.js';
import { undoTurnCommand } from '../../remote/undo-hints.js';
import type { RunContext } from '../../run/context.js';
import { describeFailure, interrupted } from '../../run/interruption.js';
import { newStreamId } from '../../stream/change-writer.js';

export async function runPull(command: PullCommand, context: RunContext): Promise<number> {
  const { destination, chain, host } = command;
  const state = await askChain(command, undefined, context);
  refuse(command, state);
  if (chain.init) {
    context.reporter.info(`Starting the history of ${destination.path}: everything is fetched.`);
  }
  const session = Buffer.from(newStreamId()).toString('hex');
  try {
    const end = await fetchStream(requestOf(command, state, session), context);
    if (context.signal.aborted) throw interrupted(context.signal);
    const { receiver } = end;
    if (receiver?.result?.kind === 'done') {
      context.reporter.tally.settle(receiver.result.bytes);
    }
    judgeFetch({ ...end, host, remote: command.remote });
  } catch (error) {
    throw describeFailure(error, whatWasLeft(command, state));
  }
  const point = readRecord(chain.directory)?.point;
  const when = point ? localTime(point.time) : 'now';
  context.reporter.info(`${destination.path} now matches ${command.origin} as of ${when}`);
  return EXIT.done;
}

/** Without the snapshots, which the source knows, only the state of the copy can stand against it. */
function refuse(command: PullCommand, state: ChainState): void {
  const { init } = command.chain;
  const facts = { snapshots: [], chain: state, init, force: command.force, compare: undefined };
  const plan = planTurn(facts);
  if (plan.kind === 'turn') return;
  const { refusal } = plan;
  switch (refusal.why) {
    case 'noPoint':
      throw new LvmsyncError(
        'destinationUnfit',
        `${command.destination.path}: there is no history in ${command.chain.directory}`,
        {
          state: 'Nothing was fetched.',
          hint: 'Check the name of the directory. If the copy has no history yet, start with a full copy: the same command with --init.',
        },
      );
    case 'holdsPoint':
    case 'rollback':
      throw describeRefusal(refusal, { vgName: '', lvName: '' }, command);
    case 'mending':
      throw new LvmsyncError(
        'destinationUnfit',
        `${command.destination.path}: a run with --compare is not finished`,
        {
          state: 'Nothing was fetched.',
          hint: 'Finish it from the host that began it, with the command of that run; or start a new history with --init --force.',
        },
      );
    default:
  }
}

function requestOf(
  command: PullCommand,
  state: ChainState,
  session: string,
): Parameters<typeof fetchStream>[0] {
  const { host, remote, volume, chain, destination } = command;
  const { path } = destination;
  const place = { host: hostname(), path: resolve(path), directory: resolve(chain.directory) };
  const mode = modeOf(command);
  const begun = mode === 'next' && state.doing?.what === 'turn' ? state.doing.to : undefined;
  const point = mode === 'init' ? undefined : state.point;
  const words = ['cycle', '--serve', ...command.serve, ...manners(command), '--', volume];
  return {
    ...{ host, session, timeoutSeconds: remote.timeoutSeconds },
    source: argvTo(host, remote, words),
    receiver: [...OWN_PROGRAM, ...receiverArguments(command)],
    request: formatPullRequest({ session, chain: chainIdOf(place), mode, point, begun }),
    go: formatGo(session),
    accepts: (line) => {
      const served = parseServes(line, session);
      if (served === undefined || served === volume) return served !== undefined;
      throw new LvmsyncError('sourceUnfit', `${host}: it serves ${served}, not ${volume}`, {
        hint: `Name ${served}, or change the forced command in authorized_keys on ${host}.`,
      });
    },
  };
}

function modeOf({ chain: { init }, force }: PullCommand): PullMode {
  if (!init) return 'next';
  return force ? 'anew' : 'init';
}

/** As the record of the chain has it: the receiver wrote what it began before it wrote anything else. */
function whatWasLeft({ chain, destination }: PullCommand, before: ChainState): ErrorContext {
  const { directory } = chain;
  const { path } = destination;
  const record = readRecord(directory);
  if (record?.doing?.what === 'turn' || record?.doing?.what === 'init') {
    const undo = undoTurnCommand({ directory, path, host: undefined });
    const back = record.doing.what === 'turn' ? ` Or go back to the state before: ${undo}` : '';
    const hint = `Run the same command again: it continues this cycle run.${back}`;
    return { state: `${path} may be incomplete.`, hint };
  }
  const { point } = record ?? {};
  if (!point || point.uuid === before.point?.uuid) return UNTOUCHED;
  return { state: `${path} is complete, and matches the volume as of ${localTime(point.time)}.` };
}

/**
 * `lvmsync cycle HOST:VG/LV DESTINATION --snapback DIR`, on the host of the copy: it starts the cycle run on the host of
 * the volume, and receives it. What goes wrong there is said by the source, so that this host needs to know no volume.
 */

import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type ErrorContext, EXIT, LvmsyncError, UNTOUCHED } from '../../base/errors.js';
import { localTime } from '../../base/local-time.js';
import { type Point, readRecord } from '../../chain/record.js';
import type { PullCommand } from '../../cli/command.js';
import { askChain } from '../../cycle/ask-chain.js';
import { type ChainState, planTurn } from '../../cycle/plan.js';
import {
  chainIdOf,
  factsOf,
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
  const { destination, chain } = command;
  const state = await askCopy(command, context);
  if (chain.init) {
    const how = command.compare === undefined ? 'everything is fetched' : 'what differs is fetched';
    context.reporter.info(`Starting the history of ${destination.path}: ${how}.`);
  }
  await fetchRun(state, command, context);
  const { time } = requireNewPoint(state, command);
  context.reporter.info(
    `${destination.path} now matches ${command.origin} as of ${localTime(time)}`,
  );
  return EXIT.done;
}

async function askCopy(command: PullCommand, context: RunContext): Promise<ChainState> {
  const state = await askChain(command, undefined, context);
  refuse(command, state);
  return state;
}

/** One stream, from the request to the confirmation. */
async function fetchRun(
  state: ChainState,
  command: PullCommand,
  context: RunContext,
): Promise<void> {
  const session = Buffer.from(newStreamId()).toString('hex');
  try {
    const end = await fetchStream(requestOf(command, state, session), context);
    if (context.signal.aborted) throw interrupted(context.signal);
    const { receiver } = end;
    if (receiver?.result?.kind === 'done') {
      context.reporter.tally.settle(receiver.result.bytes);
    }
    judgeFetch({ ...end, host: command.host, remote: command.remote });
  } catch (error) {
    throw describeFailure(error, whatWasLeft(command, state));
  }
}

/** Whatever source and receiver say, the record of the chain has the last word. Throws (destinationUnfit). */
function requireNewPoint(before: ChainState, { host, chain, destination }: PullCommand): Point {
  const { point, doing } = readRecord(chain.directory) ?? {};
  if (point && doing === null && point.uuid !== before.point?.uuid) return point;
  const { path } = destination;
  throw new LvmsyncError(
    'destinationUnfit',
    `${path}: the run from ${host} led to no new restore point`,
    {
      state: `"lvmsync chain" shows what ${path} holds.`,
      hint: 'Is the same version of lvmsync on both hosts? If so, look at the host of the volume.',
    },
  );
}

/** Without the snapshots, which the source knows, only the state of the copy can stand against it. */
function refuse(command: PullCommand, state: ChainState): void {
  const { compare, force, chain } = command;
  const { init } = chain;
  const facts = { snapshots: [], chain: state, init, force, compare, mends: false };
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
          hint: 'Check the name of the directory. If the copy has no history yet, start with a full copy: the same command with --init, or with --init --compare if most of it is there already.',
        },
      );
    case 'holdsPoint':
    case 'rollback':
    case 'mending':
      throw describeRefusal(refusal, { vgName: '', lvName: '' }, command);
    default:
  }
}

function requestOf(
  command: PullCommand,
  state: ChainState,
  session: string,
): Parameters<typeof fetchStream>[0] {
  const { host, remote, volume, chain, destination, compare } = command;
  const { path } = destination;
  const place = { host: hostname(), path: resolve(path), directory: resolve(chain.directory) };
  const mode = modeOf(command);
  // By force the copy is compared as if something else had written to it.
  const written = state.written === true || (command.force && compare !== undefined);
  const begun = mode === 'next' && state.doing?.what === 'turn' ? state.doing.to : undefined;
  const point = mode === 'init' ? undefined : state.point;
  const words = ['cycle', '--serve', ...command.serve, ...manners(command), '--', volume];
  return {
    ...{ host, session, timeoutSeconds: remote.timeoutSeconds },
    source: argvTo(host, remote, words),
    receiver: [...OWN_PROGRAM, ...receiverArguments(command)],
    request: formatPullRequest({
      ...{ session, chain: chainIdOf(place), mode, compare, point, begun },
      facts: mode === 'next' ? factsOf({ ...state, written }) : [],
    }),
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
  if (record?.doing?.what === 'mend') {
    const hint = 'Run the same command again: it continues this run.';
    return { state: `${path} may be incomplete.`, hint };
  }
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

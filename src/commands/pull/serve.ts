/**
 * `lvmsync cycle --serve VG/LV`: the source's side of a cycle run that the host of the copy started. The puller says what
 * its copy holds; everything else stands on our command line, which a forced command fixes.
 */

import { EXIT, LvmsyncError } from '../../base/errors.js';
import type { CycleCommand, ServeCommand } from '../../cli/command.js';
import { lockCycle } from '../../cycle/cycle-lock.js';
import { askWarning } from '../../cycle/fill-warning.js';
import { pulledScope, pulledTag } from '../../cycle/names.js';
import { planTurn, type Refusal, type Turn, takeTurn } from '../../cycle/plan.js';
import {
  formatServes,
  isGo,
  type PullRequest,
  parsePullRequest,
  stateOf,
} from '../../cycle/pull-lines.js';
import { describeOtherCopy, describePullRefusal } from '../../cycle/pull-refusal.js';
import { findPulled } from '../../cycle/pulled-cycles.js';
import { type CycleStore, readCycleStores } from '../../cycle/stores.js';
import {
  type CycleOrigin,
  type CycleSnapshot,
  findCycleOf,
  findOrigin,
  listSnapshots,
} from '../../cycle/volumes.js';
import { selectEngine } from '../../device/select-engine.js';
import { fullName } from '../../lvm/unfit-volume.js';
import { Puller } from '../../remote/puller.js';
import type { RemoteOptions } from '../../remote/request.js';
import type { RunContext } from '../../run/context.js';
import { formatAnswer } from '../../stream/answer-lines.js';
import { checkSize, warnOfHooks } from '../cycle.js';
import { realEffects } from '../cycle-turn.js';

/** Seconds for each line of the puller before the stream. */
const LINE_LIMIT = 60;

export async function runServe(command: ServeCommand, context: RunContext): Promise<number> {
  selectEngine(context);
  const puller = Puller.ofProcess(context.signal);
  const request = parsePullRequest(await puller.line(LINE_LIMIT));
  if (request === undefined) throw unknownLine();
  // Nothing more is said in lines once the stream was asked for.
  let mayAnswer = true;
  try {
    warnOfHooks(command.cycle, context);
    const origin = await findOrigin(command.cycle.origin);
    requireServedSize(origin, command.cycle);
    const lock = await lockCycle(origin, pulledScope(command.name), context);
    try {
      const compares = request.compare !== undefined;
      const join: Served['join'] = (onLine, id) => puller.join(onLine, id, { compares });
      const planned = await plan({ origin, request, command, join }, context);
      puller.say(`\n${formatServes(request.session, fullName(origin))}`);
      if (!isGo(await puller.line(LINE_LIMIT), request.session)) throw unknownLine();
      mayAnswer = false;
      await takeTurn(planned.turn, realEffects({ ...planned, context }));
    } finally {
      lock.release();
    }
    return EXIT.done;
  } catch (error) {
    if (mayAnswer && error instanceof LvmsyncError) {
      const { exitStatus, message } = error;
      const failed = { kind: 'failed', streamId: request.session, exitStatus, message } as const;
      puller.say(`\n${formatAnswer(failed)}`);
    }
    throw error;
  }
}

function requireServedSize(origin: CycleOrigin, command: CycleCommand): void {
  if (origin.kind === 'thick' && command.size === undefined) {
    throw new LvmsyncError(
      'usage',
      `${fullName(origin)}: a thick volume: its snapshots need --size`,
      {
        state: 'Nothing was sent.',
        hint: 'If a forced command serves it, add --size auto to that line of authorized_keys on this host. Otherwise add it to the command on the host of the copy.',
      },
    );
  }
  checkSize(origin, command);
}

function unknownLine(): LvmsyncError {
  return new LvmsyncError(
    'streamCorrupt',
    'puller: it sent a line that does not belong to the conversation',
    {
      state: 'Nothing was sent, and no snapshot was made or removed.',
      hint: 'Is the same version of lvmsync on both hosts?',
    },
  );
}

interface Planned {
  readonly command: CycleCommand;
  readonly origin: CycleOrigin;
  readonly tag: string;
  readonly turn: Turn;
  readonly snapshots: readonly CycleSnapshot[];
  readonly stores: readonly CycleStore[];
}

interface Served {
  readonly origin: CycleOrigin;
  readonly request: PullRequest;
  readonly command: ServeCommand;
  readonly join: NonNullable<RemoteOptions['joined']>;
}

/** Reads, and changes nothing. */
async function plan(
  { origin, request, command: { name, cycle }, join }: Served,
  context: RunContext,
): Promise<Planned> {
  const tag = pulledTag(name, request.chain);
  const stores = await readCycleStores(origin, tag);
  const chain = { ...cycle.chain, init: request.mode !== 'next' };
  const { compare } = request;
  const command = { ...cycle, chain, compare, remote: { ...cycle.remote, joined: join } };
  const watched = { origin, stores, command, context };
  const state = await askWarning(watched, async () => stateOf(request));
  const snapshots = await listSnapshots(origin, tag);
  const force = request.mode === 'anew';
  const facts = { snapshots, chain: state, init: chain.init, force, compare, mends: false };
  const planned = planTurn(facts);
  if (planned.kind === 'refused') {
    throw describePullRefusal(await findBase(planned.refusal, origin, tag), origin);
  }
  // A comparison overwrites the copy of any volume: it must not be one whose snapshot is there, under another tag.
  const from = planned.turn.compare?.from;
  if (from !== undefined && !snapshots.some(({ uuid }) => uuid === from.uuid)) {
    const refusal = await findBase({ why: 'baseGone', point: from }, origin, tag);
    if (refusal.why !== 'baseGone') throw describePullRefusal(refusal, origin);
  }
  // Together with those of another copy there would be more than two.
  const pulled = await findPulled(origin, name);
  const other = pulled.find((one) => one.tag !== tag)?.snapshots[0];
  if (other !== undefined) throw describeOtherCopy(other, origin);
  return { command, origin, tag, turn: planned.turn, snapshots, stores };
}

/** It may have the tag of a cycle that was pushed, or of another name of the same place. */
async function findBase(refusal: Refusal, origin: CycleOrigin, tag: string): Promise<Refusal> {
  if (refusal.why !== 'baseGone') return refusal;
  const { uuid } = refusal.point;
  const former = await findCycleOf(uuid, origin);
  const base = former?.snapshots.find((one) => one.uuid === uuid);
  return former && base ? { why: 'otherSpelling', base, former, tag } : refusal;
}

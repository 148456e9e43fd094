/** `lvmsync status`: all cycles, chains and copies that this host knows, and what is wrong. Nothing is changed or locked. */

import { messageOf } from '../../base/errno.js';
import { EXIT, LvmsyncError } from '../../base/errors.js';
import { formatObject } from '../../base/json-object.js';
import { type RegistryFile, registryDirectory, registryFiles } from '../../chain/copy-registry.js';
import type { StatusCommand } from '../../cli/command.js';
import { type FoundCycles, findCycles } from '../../cycle/cycles.js';
import type { RunContext } from '../../run/context.js';
import { askLvm, type LvmAnswer } from './ask-lvm.js';
import { type CopyStatus, examineCopy, faultOf, registeredCopies } from './copies.js';
import {
  type CycleFacts,
  type CycleStatus,
  idleUnits,
  judgeCycle,
  looksInterrupted,
  strayProblem,
} from './cycles.js';
import { asJson } from './json.js';
import type { Patience } from './limit.js';
import { knownPlaces } from './places.js';
import { problemOf } from './problem.js';
import { formatStatus, type HostStatus } from './text.js';

/**
 * Status 2 where something needs attention. Where all that could be seen is well, but not all could be, the failure
 * decides: it is thrown, or under --json its status is returned.
 */
export async function runStatus(command: StatusCommand, context: RunContext): Promise<number> {
  const { status, failures } = await look(command, context);
  const isBad = needsAttention(status);
  const [first] = isBad ? [] : failures;
  const exitStatus = isBad ? EXIT.attention : (first?.exitStatus ?? EXIT.done);
  if (command.json) {
    context.print(formatObject(asJson(status, exitStatus)));
    return exitStatus;
  }
  // The failure that is thrown is printed as such.
  context.print(formatStatus(status, first && status.failures[0]));
  if (first !== undefined) throw first;
  return exitStatus;
}

interface Seen {
  readonly status: HostStatus;
  readonly failures: readonly LvmsyncError[];
}

async function look(
  { limitSeconds, maxAge }: StatusCommand,
  { signal }: RunContext,
): Promise<Seen> {
  const clock = { now: Date.now(), maxAge };
  const patience = { limitSeconds, signal };
  const registry = readRegistry();
  const registered = registeredCopies(registry.files);
  const places = knownPlaces(registered.map(({ entry }) => entry));
  const { cycles, strays, failure, note } = await lookAtCycles({ places, clock }, patience);
  const copies: CopyStatus[] = [];
  for (const copy of registered) {
    const others = registered.filter((one) => one !== copy && one.chain === copy.chain);
    const found = await examineCopy(copy, others, { clock, patience });
    if (found !== undefined) copies.push(found);
  }
  const failures = [failure, registry.failure].filter((one) => one !== undefined);
  const status = {
    clock,
    cycles,
    copies,
    problems: [
      ...strays.map(strayProblem),
      ...(failure === undefined && note === undefined ? idleUnits(places, cycles) : []),
      ...registry.files.flatMap(faultOf),
    ],
    failures: failures.map(problemOf),
    notes: note === undefined ? [] : [note],
  };
  return { status, failures };
}

type Cycles = Pick<LvmAnswer, 'failure' | 'note'> &
  Pick<FoundCycles, 'strays'> & { readonly cycles: readonly CycleStatus[] };

async function lookAtCycles(
  facts: Pick<CycleFacts, 'places' | 'clock'>,
  patience: Patience,
): Promise<Cycles> {
  for (let attempt = 1; ; attempt++) {
    const { volumes, failure, note } = await askLvm(patience);
    const found = findCycles(volumes);
    const cycles = found.cycles.map((cycle) => judgeCycle(cycle, { volumes, ...facts }));
    // A run that ended between the two looks, at the snapshots and at the lock, was not interrupted.
    const isClear = cycles.every((one) => one.isRunning || !looksInterrupted(one));
    if (isClear || attempt === MOST_LOOKS) return { cycles, strays: found.strays, failure, note };
  }
}

const MOST_LOOKS = 2;

function readRegistry(): {
  readonly files: readonly RegistryFile[];
  readonly failure: LvmsyncError | undefined;
} {
  const directory = registryDirectory();
  try {
    return { files: registryFiles(directory), failure: undefined };
  } catch (cause) {
    const message = `${directory}: the registry of copies cannot be read (${messageOf(cause)})`;
    const hint = 'Check the permissions of that directory and of those above it.';
    return { files: [], failure: new LvmsyncError('snapback', message, { hint, cause }) };
  }
}

function needsAttention({ cycles, copies, problems }: HostStatus): boolean {
  return [...cycles, ...copies, { problems }].some((one) => one.problems.length > 0);
}

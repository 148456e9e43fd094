/** A status for a program; docs/json.md says what the names mean. Pure. */

import { pointTime } from '../../cycle/names.js';
import { fullName } from '../../lvm/unfit-volume.js';
import type { CopyStatus } from './copies.js';
import type { CycleStatus } from './cycles.js';
import { ageOf, type Clock } from './problem.js';
import type { HostStatus } from './text.js';

export function asJson(status: HostStatus, exitStatus: number): Record<string, unknown> {
  const { clock, cycles, copies, problems, failures, notes } = status;
  return {
    time: pointTime(clock.now),
    exitStatus,
    maxAgeSeconds: clock.maxAge === undefined ? null : clock.maxAge / 1000,
    cycles: cycles.map((cycle) => cycleJson(cycle, clock)),
    copies: copies.map((copy) => copyJson(copy, clock)),
    problems: problems.map(problemJson),
    failures: failures.map(problemJson),
    notes,
  };
}

function cycleJson(cycle: CycleStatus, clock: Clock): Record<string, unknown> {
  const { origin, tag, place, isRunning, time, snapshots, fills, problems } = cycle;
  return {
    origin: fullName(origin),
    originUuid: origin.uuid,
    tag,
    destination: place?.destination ?? null,
    chain: place?.directory ?? null,
    running: isRunning,
    time: time ?? null,
    ageSeconds: secondsSince(time, clock),
    snapshots: snapshots.map(({ volume, uuid, time: made, state }) => {
      return { name: fullName(volume), uuid, time: made, state };
    }),
    fills,
    problems: problems.map(problemJson),
  };
}

function copyJson(copy: CopyStatus, clock: Clock): Record<string, unknown> {
  const { path, chain, isRunning, record, points, inDoubt, gap, writer, problems } = copy;
  const point = record?.point ?? null;
  return {
    path,
    chain,
    running: isRunning,
    point,
    ageSeconds: secondsSince(point?.time, clock),
    points: points.length,
    inDoubt,
    oldest: points.at(-1) ?? null,
    doing: record?.doing ?? null,
    undone: record?.undone ?? null,
    gap: gap ?? null,
    writer,
    problems: problems.map(problemJson),
  };
}

function secondsSince(time: string | undefined, clock: Clock): number | null {
  return time === undefined ? null : Math.floor(ageOf(time, clock) / 1000);
}

function problemJson({ what, remedy }: HostStatus['problems'][number]): Record<string, unknown> {
  return { what, remedy: remedy ?? null };
}

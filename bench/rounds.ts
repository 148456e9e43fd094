/** Contestants for one job, run in turns: what disturbs the machine disturbs all of them. */

import { type Cost, costOf, type Spread, spread } from './cost.js';

export interface Contestant {
  readonly name: string;
  /** `ours` is held against `limit`; `other` is what a person might use instead. */
  readonly role: 'limit' | 'ours' | 'other';
  readonly words: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export interface Job {
  readonly name: string;
  /** What the job moves. */
  readonly bytes: number;
  readonly contestants: readonly Contestant[];
  /** Before each run, outside what is measured. */
  readonly prepare?: () => void;
  /** After each run of ours; throws where the result is wrong. */
  readonly verify?: () => void;
}

export interface Result {
  readonly name: string;
  readonly role: Contestant['role'];
  readonly wall: Spread;
  readonly cpu: Spread;
  readonly machineCpu: Spread;
  /** MiB, the greatest of all rounds. */
  readonly peakMiB: number;
  /** Of each round, to the limit's cost in the same round; undefined where there is no limit. */
  readonly wallRatio?: Spread;
  readonly cpuRatio?: Spread;
}

export interface JobResult {
  readonly name: string;
  readonly bytes: number;
  readonly rounds: number;
  readonly results: readonly Result[];
}

/** Jobs that are compared are run in the same rounds. */
export function runJobs(jobs: readonly Job[], rounds: number): JobResult[] {
  const costs = jobs.map(({ contestants }) => contestants.map((): Cost[] => []));
  for (let round = 0; round < rounds; round++) {
    for (const [index, job] of jobs.entries()) runRound(job, costs[index] ?? []);
  }
  return jobs.map((job, index) => {
    const own = costs[index] ?? [];
    const limit = own[job.contestants.findIndex(({ role }) => role === 'limit')];
    const results = job.contestants.map((contestant, i) =>
      summarise(contestant, own[i] ?? [], limit),
    );
    return { name: job.name, bytes: job.bytes, rounds, results };
  });
}

function runRound(job: Job, costs: readonly Cost[][]): void {
  for (const [index, contestant] of job.contestants.entries()) {
    job.prepare?.();
    costs[index]?.push(costOf(contestant.words, contestant.env));
    if (contestant.role === 'ours') job.verify?.();
  }
}

function summarise(
  { name, role }: Contestant,
  costs: readonly Cost[],
  limit: readonly Cost[] | undefined,
): Result {
  const ratio = (kind: 'wall' | 'cpu'): Spread =>
    spread(costs.map((cost, round) => cost[kind] / (limit?.[round]?.[kind] ?? Number.NaN)));
  return {
    name,
    role,
    wall: spread(costs.map(({ wall }) => wall)),
    cpu: spread(costs.map(({ cpu }) => cpu)),
    machineCpu: spread(costs.map(({ machineCpu }) => machineCpu)),
    peakMiB: Math.max(...costs.map(({ peakMiB }) => peakMiB)),
    ...(limit === undefined ? {} : { wallRatio: ratio('wall'), cpuRatio: ratio('cpu') }),
  };
}

/** The same job at two sizes. */
export type Pair = readonly [small: JobResult, large: JobResult];

/** A cost at two sizes. */
export interface Point {
  readonly bytes: number;
  readonly cost: number;
}

/** What each further byte costs, and what any number of bytes would. */
export function lineThrough(low: Point, high: Point) {
  const slope = (high.cost - low.cost) / (high.bytes - low.bytes);
  return { slope, at: (bytes: number): number => high.cost + slope * (bytes - high.bytes) };
}

/**
 * What each further byte costs beside the limit's, by the medians: the start of a process is in
 * neither.
 */
export function slopeRatio(pair: Pair, kind: 'wall' | 'cpu'): number {
  return line(pair, 'ours', kind).slope / line(pair, 'limit', kind).slope;
}

/** What so many bytes would cost beside the limit's, by the line through the medians. */
export function ratioAt(pair: Pair, kind: 'wall' | 'cpu', bytes: number): number {
  return line(pair, 'ours', kind).at(bytes) / line(pair, 'limit', kind).at(bytes);
}

function line([small, large]: Pair, role: Contestant['role'], kind: 'wall' | 'cpu') {
  const point = ({ bytes, results }: JobResult): Point => ({
    bytes,
    cost: results.find((result) => result.role === role)?.[kind].median ?? Number.NaN,
  });
  return lineThrough(point(small), point(large));
}

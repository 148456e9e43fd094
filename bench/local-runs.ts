/** The whole runs of one machine, all shapes, each at two sizes. */

import {
  type ChangeList,
  SCATTERED_4K,
  SCATTERED_64K,
  SEQUENTIAL,
  type Shape,
  writeChangeList,
} from './change-lists.js';
import * as jobs from './local-jobs.js';
import type { Media } from './media.js';
import { type Contestant, type Job, type Pair, runJobs } from './rounds.js';

export interface RunOptions {
  readonly rounds: number;
  /** Called with the name of what begins. */
  readonly say: (name: string) => void;
}

export function runLocal(media: Media, tools: jobs.OtherTools, options: RunOptions): Pair[] {
  const others = jobs.otherCopies(media, tools);
  return [SCATTERED_4K, SCATTERED_64K, SEQUENTIAL].flatMap((shape) =>
    runShape({ media, tools, others: shape === SCATTERED_4K ? others : [] }, shape, options),
  );
}

interface Setting {
  readonly media: Media;
  readonly tools: jobs.OtherTools;
  /** Beside the sync of the whole list. */
  readonly others: readonly Contestant[];
}

function runShape({ media, tools, others }: Setting, shape: Shape, options: RunOptions): Pair[] {
  const [half, whole] = [
    makeList(media, shape, media.size / 2),
    makeList(media, shape, media.size),
  ];
  const pair = (make: (list: ChangeList) => Job): Pair => {
    const [small, large] = [make(half), make(whole)];
    options.say(large.name);
    return runPair([small, large], options.rounds);
  };
  const before = [
    pair((list) => jobs.syncJob(media, list, list === whole ? others : [])),
    pair((list) => jobs.snapbackJob(media, list)),
    pair((list) => jobs.dumpJob(media, list, 'file')),
    pair((list) => jobs.dumpJob(media, list, 'pipe')),
  ];
  for (const list of [half, whole]) jobs.writeStream(media, list);
  const after = [
    pair((list) => jobs.applyJob(media, list, 'file', tools.original)),
    pair((list) => jobs.applyJob(media, list, 'pipe')),
    pair((list) => jobs.verifyJob(media, list)),
  ];
  for (const list of [half, whole]) jobs.removeStream(media, list);
  return [...before, ...after];
}

export function makeList(media: Media, shape: Shape, size: number): ChangeList {
  const path = media.file(`${shape.chunkSize}-${shape.every}-${size}`);
  return writeChangeList(path, shape, size);
}

function runPair(pair: readonly [Job, Job], rounds: number): Pair {
  const [small, large] = runJobs(pair, rounds);
  if (small === undefined || large === undefined) throw new Error('a pair of jobs');
  return [small, large];
}

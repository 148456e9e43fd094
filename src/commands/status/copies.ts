/** The copies of chains on this host, as the registry of copies and the records of the chains have them. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../../base/errno.js';
import { LvmsyncError } from '../../base/errors.js';
import { typedPath } from '../../base/shell-words.js';
import { chainOf } from '../../chain/copy-entry.js';
import type { RegistryFile } from '../../chain/copy-registry.js';
import { checkChainFree } from '../../chain/directory.js';
import { exactnessOf, pointsOf } from '../../chain/order.js';
import {
  type ChainDestination,
  type ChainRecord,
  isGoingBack,
  type Point,
  readRecord,
} from '../../chain/record.js';
import type { CopyEntry } from '../../chain/registry-entry.js';
import { finishOption } from '../../chain/step.js';
import { redoCommand, rollbackCommand, undoTurnCommand } from '../../remote/undo-hints.js';
import { howFarBack, type Survey, surveyChain, whatItHolds } from '../chain-survey.js';
import { type Lock, lockOf } from './cycles.js';
import { type Patience, within } from './limit.js';
import { ageProblems, type Clock, type Problem, problemOf } from './problem.js';

export interface CopyStatus {
  readonly path: string;
  /** The directory of its chain. */
  readonly chain: string;
  readonly isRunning: boolean;
  /** Undefined where it cannot be read, or there is none. */
  readonly record: ChainRecord | undefined;
  /** Those that can be gone back to, newest first. */
  readonly points: readonly Point[];
  /** How many of them a comparison could not vouch for. */
  readonly inDoubt: number;
  readonly gap: string | undefined;
  /** The run that wrote last. */
  readonly writer: Pick<CopyEntry, 'at' | 'command' | 'chain'>;
  readonly problems: readonly Problem[];
}

/** One copy in the registry. */
export interface Registered {
  readonly file: string;
  readonly entry: CopyEntry;
  /** The directory. */
  readonly chain: string;
}

/** Those of a chain, by their paths. */
export function registeredCopies(files: readonly RegistryFile[]): readonly Registered[] {
  const copies = files.flatMap(({ file, entry }): Registered[] => {
    const chain = chainOf(entry);
    return entry === undefined || chain === undefined ? [] : [{ file, entry, chain }];
  });
  return copies.sort((one, other) => one.entry.path.localeCompare(other.entry.path));
}

/** An entry that says nothing: of which copy, nobody knows. */
export function faultOf({ file, fault }: RegistryFile): readonly Problem[] {
  if (fault === undefined) return [];
  const what = `${file}: this entry of the registry of copies ${fault}`;
  const remedy = `The next cycle run on its copy writes it anew. If that does not help, or there is no such copy any more: rm ${typedPath(file, undefined)}`;
  return [{ what, remedy }];
}

const LATE = 'Is its disk, or the file server, there? See "mount" and "dmesg".';

/** `others`: copies that the registry names for the same chain. Undefined where one of them is its copy now. */
export async function examineCopy(
  copy: Registered,
  others: readonly Registered[],
  { clock, patience }: { readonly clock: Clock; readonly patience: Patience },
): Promise<CopyStatus | undefined> {
  const { entry, chain } = copy;
  const { path, at, command } = entry;
  const writer = { at, command, chain: entry.chain };
  const nothing = { path, chain, writer, isRunning: false, record: undefined, gap: undefined };
  try {
    // Asked of threads that may wait: what is done below would hold up everything.
    for (const place of [chain, path]) {
      await within(answers(place), patience, { subject: place, hint: LATE });
    }
    if (isSuperseded(copy, others, readRecord(chain))) return undefined;
    const before = lockOf(() => checkChainFree(chain));
    const survey = surveyChain({ directory: chain, destination: path });
    const found = await within(survey, patience, { subject: path, hint: LATE });
    const after = lockOf(() => checkChainFree(chain));
    // What was seen of a run that has ended since may be out of date.
    const lock = { ...after, isRunning: before.isRunning || after.isRunning };
    return judge({ ...nothing, points: [], inDoubt: 0, problems: [] }, found, {
      copy,
      clock,
      lock,
    });
  } catch (error) {
    const problem = problemIn(error);
    if (problem === undefined || patience.signal.aborted) throw error;
    return { ...nothing, points: [], inDoubt: 0, problems: [problem] };
  }
}

/** Undefined for a bug. A part of a chain may be forbidden, or its disk fail. */
function problemIn(error: unknown): Problem | undefined {
  if (error instanceof LvmsyncError) return problemOf(error);
  const code = errnoOf(error);
  // Node's own complaints are bugs.
  if (code === undefined || code.startsWith('ERR_')) return undefined;
  return { what: `it cannot be looked at: ${messageOf(error)}`, remedy: UNREADABLE };
}

const UNREADABLE = 'Check the permissions of that file or directory, and its disk: dmesg';

/** Resolves when its file system has answered; what it answered the survey says. */
async function answers(path: string): Promise<void> {
  await stat(path).catch(() => undefined);
}

/** A chain that was begun anew on another copy leaves the entry of the former one. */
function isSuperseded(
  copy: Registered,
  others: readonly Registered[],
  record: ChainRecord | undefined,
): boolean {
  if (record === undefined || isOf(copy, record.destination)) return false;
  const newest = (one: Registered): boolean => one.entry.at > copy.entry.at;
  return others.some((one) => isOf(one, record.destination) || newest(one));
}

function isOf({ entry }: Registered, { identity, path }: ChainDestination): boolean {
  return identity === null ? entry.path === path : entry.identity === identity;
}

function judge(
  status: CopyStatus,
  survey: Survey,
  about: { readonly copy: Registered; readonly clock: Clock; readonly lock: Lock },
): CopyStatus {
  const { copy, clock, lock } = about;
  const { isRunning } = lock;
  const { record, order } = survey;
  const { path, chain } = status;
  if (record === undefined)
    return { ...status, isRunning, problems: isRunning ? [] : [noChain(copy)] };
  const { point } = record;
  const points = point === null ? [] : pointsOf(point, order);
  const known = exactnessOf(order, record.inexact).slice(0, points.length);
  const inDoubt = known.filter((one) => one !== undefined).length;
  const problems = [
    ...lock.problems,
    // A run that is at work changes all of this.
    ...(isRunning ? [] : restingProblems(survey, { path, directory: chain, host: undefined })),
    ...(point === null ? [] : ageProblems(point.time, clock, tooOld(copy))),
  ];
  const { gap } = order;
  return { ...status, isRunning, record, points, inDoubt, gap, problems };
}

function noChain({ file, chain }: Registered): Problem {
  const ended = `If this cycle has ended, forget it: rm ${typedPath(file, undefined)}`;
  return {
    what: `there is no chain in ${chain}`,
    remedy: `If its file system is not mounted, mount it. ${ended}`,
  };
}

function tooOld({ file }: Registered): string {
  const forget = `rm ${typedPath(file, undefined)}`;
  return `Find out why its cycle does not run, with lvmsync status on the host of VOLUME; if this host fetches it, look at the timer here. Then run the cycle again. If the cycle has ended, forget the copy here (it and its restore points stay): ${forget}`;
}

type ChainPlace = Parameters<typeof redoCommand>[0];

function restingProblems(survey: Survey, place: ChainPlace): readonly Problem[] {
  const { record, order, redoGap, mismatch } = survey;
  if (record === undefined) return [];
  const problems: Problem[] = [];
  const holds = `it holds ${whatItHolds(record)}`;
  const remedy = nextStep(record, place);
  if (remedy !== undefined) problems.push({ what: holds, remedy });
  if (mismatch !== undefined) problems.push({ what: mismatch.why, remedy: mismatch.remedy });
  if (order.gap !== undefined) problems.push({ what: `it goes ${howFarBack(order)}`, remedy: GAP });
  if (redoGap !== undefined)
    problems.push({ what: `that rollback cannot be undone: ${redoGap}`, remedy: REDO_GAP });
  return problems;
}

const GAP =
  'The restore points before it are lost, unless that file comes back. Cycle runs go on; with --keep the gap goes with the points next to it.';
const REDO_GAP =
  'Put back what is missing if the rollback is to be undone. If not, the next cycle run settles it.';

/** Where something is unfinished, or the copy was taken back. */
function nextStep(record: ChainRecord, place: ChainPlace): string | undefined {
  const { doing, point } = record;
  if (isGoingBack(doing)) return `Finish it: ${rollbackCommand(finishOption(doing), place)}`;
  if (doing?.what === 'init') return 'Run its cycle again with --init.';
  if (doing?.what === 'turn') {
    return `Run its cycle again: it continues. Or undo the part: ${undoTurnCommand(place)}`;
  }
  if (doing?.what === 'mend') return 'Run its cycle again with --compare.';
  if (point === null) return 'Run its cycle with --init.';
  if (!wentBack(record, place)) return undefined;
  return `Go forward again: ${redoCommand(place)}. The next cycle run is refused if the snapshot of the older point is gone, unless it has --compare (without "=lost").`;
}

/** Whether the last rollback led to an older point; one that only undid an attempt did not. */
function wentBack({ undone, point }: ChainRecord, { directory }: ChainPlace): boolean {
  if (undone === null) return false;
  try {
    const former = readRecord(join(directory, undone.folder));
    return former !== undefined && former.point?.uuid !== point?.uuid;
  } catch (error) {
    // Then the rollback cannot be undone, which is told.
    if (error instanceof LvmsyncError) return false;
    throw error;
  }
}

/** The cycles whose volumes are on this host: how their snapshots fare, and what is wrong. */

import { LvmsyncError } from '../../base/errors.js';
import { typedPath } from '../../base/shell-words.js';
import { counted } from '../../base/text.js';
import { checkCycleFree } from '../../cycle/cycle-lock.js';
import type { FoundCycle, FoundSnapshot } from '../../cycle/cycles.js';
import { scopeOf } from '../../cycle/names.js';
import { mergedInto, overflowed, type Words } from '../../cycle/refusal.js';
import { describeSnapshot } from '../../cycle/volumes.js';
import { WAIT_FOR_RUN } from '../../host/claim-file.js';
import type { FilledVolume } from '../../lvm/lvs-report.js';
import { refuseSiblingMerge } from '../../lvm/origin-merge.js';
import { whenNearlyFull } from '../../lvm/store-status.js';
import { activationHint, fullName } from '../../lvm/unfit-volume.js';
import type { Fill } from '../../run/progress.js';
import type { Place, Places } from './places.js';
import { ageProblems, type Clock, type Problem, problemOf } from './problem.js';

export interface CycleStatus extends FoundCycle {
  readonly place: Place | undefined;
  readonly isRunning: boolean;
  /** ISO 8601, of the oldest snapshot: the copy holds that, or a newer one. Undefined: none is finished. */
  readonly time: string | undefined;
  /** Those that are known: of each thick snapshot its COW store, of thin ones their pool. */
  readonly fills: readonly Fill[];
  readonly problems: readonly Problem[];
}

export interface CycleFacts {
  readonly volumes: readonly FilledVolume[];
  readonly places: Places;
  readonly clock: Clock;
  /** Throws (locked) while a turn is being taken. */
  readonly checkFree?: (origin: FilledVolume, tag: string) => unknown;
}

export function judgeCycle(cycle: FoundCycle, facts: CycleFacts): CycleStatus {
  const { volumes, places, clock, checkFree = checkCycleFree } = facts;
  const { origin, tag, snapshots } = cycle;
  const place = places.get(tag);
  const again = place?.words === undefined ? 'its cycle command' : `"${commandOf(place.words)}"`;
  const lock = lockOf(() => {
    checkFree(origin, tag);
    // A run that is fetched has the lock of all that are fetched under its name.
    checkFree(origin, scopeOf(tag));
  });
  const time = snapshots.find(({ state }) => state !== 'unfinished')?.time;
  const fills = fillsOf(cycle, volumes);
  const problems = [
    ...lock.problems,
    ...mergeProblems(cycle, volumes, again),
    ...snapshots.flatMap((one) => snapshotProblems(one, cycle, place)),
    ...poolProblems(cycle, volumes),
    ...fills.flatMap(fillProblems),
    ...(lock.isRunning ? [] : interruptedProblems(snapshots, again)),
    ...(time === undefined
      ? []
      : ageProblems(
          time,
          clock,
          `Find out why it does not run: ${LOOK}. Then run ${again} again.`,
        )),
  ];
  return { ...cycle, place, isRunning: lock.isRunning, time, fills, problems };
}

const LOOK = `systemctl status 'lvmsync-cycle@*'`;

function commandOf(words: string, options = ''): string {
  return `lvmsync cycle ${options}${words}`;
}

export interface Lock {
  readonly isRunning: boolean;
  readonly problems: readonly Problem[];
}

/** `check` throws (locked) while a run has what it looks at. */
export function lockOf(check: () => unknown): Lock {
  try {
    check();
    return { isRunning: false, problems: [] };
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    // A lock file that says nothing of its run holds until somebody removes it.
    const isRunning = error.code === 'locked' && error.hint === WAIT_FOR_RUN;
    return { isRunning, problems: isRunning ? [] : [problemOf(error)] };
  }
}

function inWords(volume: FoundSnapshot, [what, remedy]: Words): Problem {
  return { what: `${describeSnapshot(volume)}: ${what}`, remedy };
}

function mergeProblems(
  { origin, snapshots }: FoundCycle,
  volumes: readonly FilledVolume[],
  again: string,
): readonly Problem[] {
  const merging = snapshots.find(({ state }) => state === 'merging');
  if (merging !== undefined) return [inWords(merging, mergedInto(origin, again))];
  try {
    refuseSiblingMerge(origin, origin.uuid, volumes);
    return [];
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    return [problemOf(error)];
  }
}

function snapshotProblems(
  snapshot: FoundSnapshot,
  { origin, snapshots }: FoundCycle,
  place: Place | undefined,
): readonly Problem[] {
  const { state, volume } = snapshot;
  if (state === 'lost') {
    const words = place?.words;
    const command = words === undefined ? undefined : `"${commandOf(words)} --compare"`;
    const isBase = snapshot === snapshots[0];
    return [inWords(snapshot, isBase ? overflowed(command ?? COMPARE) : LOST_NEXT)];
  }
  if (state !== 'whole' || isThin(volume) || volume.dataPercent !== undefined) return [];
  const remedy = volume.deviceNumber === undefined ? activationHint(fullName(origin)) : undefined;
  const inactive = remedy === undefined ? '' : 'it is inactive, so ';
  const what = `${inactive}LVM does not know whether it is whole and how full it is`;
  return [{ what: `${describeSnapshot(snapshot)}: ${what}`, remedy }];
}

const COMPARE = 'its cycle command with --compare';

const LOST_NEXT: Words = [
  'it overflowed before it was sent',
  'Run the cycle again with a larger --size: it removes this snapshot, or says what to undo first.',
];

function isThin({ segmentType }: FilledVolume): boolean {
  return segmentType === 'thin';
}

function poolOf(
  { origin, snapshots }: FoundCycle,
  volumes: readonly FilledVolume[],
): FilledVolume | undefined {
  const thin = snapshots.find(({ volume }) => isThin(volume))?.volume;
  return volumes.find(
    ({ vgName, lvName }) => vgName === origin.vgName && lvName === thin?.poolName,
  );
}

function fillsOf(cycle: FoundCycle, volumes: readonly FilledVolume[]): readonly Fill[] {
  const thick = cycle.snapshots.flatMap(({ state, volume }): Fill[] => {
    const { dataPercent } = volume;
    if (isThin(volume) || state !== 'whole' || dataPercent === undefined) return [];
    return [{ name: fullName(volume), what: 'COW store', percent: dataPercent }];
  });
  const pool = poolOf(cycle, volumes);
  if (pool === undefined) return thick;
  const { dataPercent, metadataPercent } = pool;
  const name = fullName(pool);
  return [
    ...thick,
    ...(dataPercent === undefined ? [] : [{ name, what: 'data', percent: dataPercent } as const]),
    ...(metadataPercent === undefined
      ? []
      : [{ name, what: 'metadata', percent: metadataPercent } as const]),
  ];
}

function poolProblems(cycle: FoundCycle, volumes: readonly FilledVolume[]): readonly Problem[] {
  const pool = poolOf(cycle, volumes);
  if (pool === undefined || pool.dataPercent !== undefined) return [];
  const what = `the pool ${fullName(pool)} does not say how full it is: it is inactive, or has failed`;
  return [{ what, remedy: activationHint(fullName(cycle.origin)) }];
}

function fillProblems(fill: Fill): readonly Problem[] {
  const found = whenNearlyFull(fill);
  if (found === undefined) return [];
  const { name, what, percent } = fill;
  const remedy = found.remedy;
  return [{ what: `${what} of ${name}: ${percent.toFixed(1)}% full; ${found.threat}`, remedy }];
}

/** While a run is at work it looks the same. */
export function looksInterrupted({ snapshots }: Pick<FoundCycle, 'snapshots'>): boolean {
  return snapshots.length > 1 || snapshots.some(({ state }) => state === 'unfinished');
}

function interruptedProblems(
  snapshots: readonly FoundSnapshot[],
  again: string,
): readonly Problem[] {
  if (!looksInterrupted({ snapshots })) return [];
  const what = `a cycle run was interrupted: it left ${counted(snapshots.length, 'snapshot')}`;
  return [{ what, remedy: `Run ${again} again: it continues, and removes what is left over.` }];
}

/** Units of cycles that have no snapshot, where all volumes could be seen. */
export function idleUnits(places: Places, cycles: readonly FoundCycle[]): readonly Problem[] {
  return [...places].flatMap(([tag, { file, words }]) => {
    if (file === undefined || words === undefined) return [];
    if (cycles.some((cycle) => cycle.tag === tag)) return [];
    const begin = `If it is new, begin it: ${commandOf(words, '--init ')}`;
    const what = `${file}: the cycle described there has no snapshot on this host`;
    const ended = `if it has ended: rm ${typedPath(file, undefined)}`;
    return [{ what, remedy: `${begin}; ${ended}; else run it once: it says what to do.` }];
  });
}

/** Of a snapshot that no cycle can use any more. */
export function strayProblem(volume: FilledVolume): Problem {
  const name = fullName(volume);
  return {
    what: `${name}: a snapshot of a cycle whose volume, or whose other tags, are gone`,
    remedy: `No cycle uses it any more: lvremove ${name}`,
  };
}

// T20, the pure half of what is done: a case describes the world around a run, and a seed draws it.

import { Random } from '../../helpers/random.js';

/** By so many bytes a destination is grown or cut, and an origin, too. */
export const STEP = 64 << 10;

/** Each is one volume with an older snapshot (its list is read), a newer one, and a sibling of both. */
export const SCENES = [
  { name: 'thick4', kind: 'thick', chunkSize: 4 << 10 },
  { name: 'thick64', kind: 'thick', chunkSize: 64 << 10 },
  { name: 'thick512', kind: 'thick', chunkSize: 512 << 10 },
  { name: 'thin64', kind: 'thin', chunkSize: 64 << 10 },
  { name: 'thin192', kind: 'thin', chunkSize: 192 << 10 },
] as const;
export type SceneShape = (typeof SCENES)[number];

/** Whose content is sent: the origin's, or the newer snapshot's by one of two options. */
export type Reads = 'origin' | '--data-source' | '--since';

export const COMMANDS = [
  'sync',
  'sync to a remote host',
  'stdout, then apply',
  'verify',
  'verify --full',
  'repair',
  'undo',
  'cycle turn',
  'rollback',
  'redo',
] as const;
export type Command = (typeof COMMANDS)[number];

export const PLACES = [
  'linear volume',
  'thin volume',
  'thin volume of a pool with -Zn',
  'file',
  'file that is too short',
  'file that is longer',
  'loop device',
] as const;
export type PlaceKind = (typeof PLACES)[number];

/** What becomes of the destination between two steps, or before the only one. */
export type Change =
  | 'none'
  | 'renamed'
  | 'replaced'
  | 'restored'
  | 'grown'
  | 'cut'
  /** The file that leads back loses its end. */
  | 'undo file cut';

/** What somebody does to the volumes beside the snapshot, or to their names. */
export type Activity =
  | 'none'
  | 'sibling merging'
  | 'sibling merge scheduled'
  | 'sibling removed'
  | 'origin grown'
  | 'origin cut'
  | 'origin renamed'
  | 'snapshot renamed';

export interface Case {
  /** Draws it again, alone. */
  readonly seed: number;
  readonly scene: SceneShape;
  readonly reads: Reads;
  readonly command: Command;
  readonly place: PlaceKind;
  readonly change: Change;
  readonly activity: Activity;
  /** Milliseconds after the start of the run; undefined: before it. */
  readonly during: number | undefined;
  /** Of a verify: a byte of the copy is wrong. */
  readonly flawed: boolean;
}

/** What a step that comes before the change gives it to be wrong about. */
const CHANGES: Readonly<Record<Command, readonly Change[]>> = {
  sync: ['grown', 'cut'],
  'sync to a remote host': ['grown', 'cut'],
  'stdout, then apply': ['renamed', 'grown', 'cut'],
  verify: ['grown', 'cut'],
  'verify --full': ['grown', 'cut'],
  repair: ['grown', 'cut'],
  undo: ['renamed', 'replaced', 'restored', 'grown', 'cut', 'undo file cut'],
  'cycle turn': ['renamed', 'replaced', 'restored', 'grown', 'cut'],
  rollback: ['renamed', 'replaced', 'restored', 'grown', 'cut', 'undo file cut'],
  redo: ['renamed', 'replaced', 'restored', 'grown', 'cut', 'undo file cut'],
};

/** Commands that take several turns are slow, and drawn less often. */
const WEIGHTS: Readonly<Record<Command, number>> = {
  sync: 5,
  'sync to a remote host': 3,
  'stdout, then apply': 4,
  verify: 2,
  'verify --full': 2,
  repair: 2,
  undo: 5,
  'cycle turn': 2,
  rollback: 2,
  redo: 1,
};

const ACTIVITIES: readonly Activity[] = [
  'sibling merging',
  'sibling merge scheduled',
  'sibling removed',
  'origin grown',
  'origin renamed',
  'snapshot renamed',
];
/** A run of the smallest volume takes about so long, in milliseconds. */
const RUN_TIME = 2500;

export function drawCase(seed: number): Case {
  const random = new Random(seed);
  const one = <T>(values: readonly T[]): T => values[random.below(values.length)] as T;
  const now = (share: number): boolean => random.below(100) < share;
  const scene = one(SCENES);
  const thin = scene.kind === 'thin';
  const command = one(COMMANDS.flatMap((name) => Array<Command>(WEIGHTS[name]).fill(name)));
  const cyclic = isCyclic(command);
  const reads = one<Reads>(
    thin ? ['origin', '--data-source', '--since'] : ['origin', '--data-source'],
  );
  const change = now(45) ? one(CHANGES[command]) : 'none';
  const activity = now(60)
    ? one(thin ? [...ACTIVITIES, 'origin cut' as const] : ACTIVITIES)
    : 'none';
  const during = activity !== 'none' && now(50) ? random.below(RUN_TIME) : undefined;
  const place = one(PLACES);
  return {
    ...{ seed, scene, command, place },
    // With its size back, but zeros where its end was, it is any file: nobody can tell that it lost something.
    change: place === 'file that is too short' && change === 'grown' ? 'none' : change,
    // Neither do cycles have a choice, nor does a comparison of everything begin at a snapshot.
    reads: cyclic || (command === 'verify --full' && reads === '--since') ? 'origin' : reads,
    // Cycles do without the snapshot whose name that would be.
    activity: cyclic && activity === 'snapshot renamed' ? 'origin renamed' : activity,
    // LVM enlarges a thick origin only while it is inactive.
    during: activity === 'origin grown' && !thin ? undefined : during,
    flawed: now(50),
  };
}

/** Keeps a chain, and makes snapshots of its own. */
export function isCyclic(command: Command): boolean {
  return command === 'cycle turn' || command === 'rollback' || command === 'redo';
}

export function isVerify(command: Command): boolean {
  return command === 'verify' || command === 'verify --full';
}

/** In words, so that a person can do it again. */
export function describeCase(what: Case): string {
  const { scene, reads, command, place, change, activity, during } = what;
  const parts = [`${command} of ${scene.kind} ${scene.chunkSize >> 10} KiB to a ${place}`];
  if (reads !== 'origin') parts.push(`with ${reads}`);
  if (isVerify(command) && what.flawed) parts.push('which has a wrong byte');
  if (change !== 'none') parts.push(change === 'undo file cut' ? change : `destination ${change}`);
  if (activity !== 'none') {
    parts.push(`${activity} ${during === undefined ? 'before' : `${during} ms into`} the run`);
  }
  return `LVMSYNC_TEST_SEED=${what.seed}: ${parts.join(', ')}`;
}

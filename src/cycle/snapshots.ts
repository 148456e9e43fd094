/** Makes, wakes and removes the snapshots of a chain. Each call of a tool is one transaction of LVM. */

import { LvmsyncError } from '../base/errors.js';
import { localTime } from '../base/local-time.js';
import { type Argv, CommandError, type RunCommand } from '../host/subprocess.js';
import { askHost } from '../lvm/host-tools.js';
import { fullName } from '../lvm/unfit-volume.js';
import { type FreezeHooks, whileFrozen } from './freeze-hooks.js';
import { CYCLE_TAG, pointTime, snapshotName, timeTag, UNCONFIRMED_TAG, useTag } from './names.js';
import { type CycleOrigin, type CycleSnapshot, listSnapshots } from './volumes.js';

export interface SnapshotRequest {
  readonly origin: CycleOrigin;
  /** The tag of the chain. */
  readonly tag: string;
  /** The options of lvcreate for the size of a thick snapshot's COW store; undefined for a thin one. */
  readonly size: readonly string[] | undefined;
  /** Bytes that those before it had to hold, the newest first: it remembers them. */
  readonly uses?: readonly number[];
  readonly hooks: FreezeHooks;
  /** Ends the freeze. */
  readonly signal: AbortSignal;
  /** ISO 8601, UTC. */
  readonly time: string;
}

/** Ctrl-C must not end what LVM has begun. */
const SHIELDED = { code: 'sourceUnfit', shielded: true } as const;

/** A snapshot that nobody can write, made between the freeze and the thaw. Throws (sourceUnfit). */
export async function makeSnapshot(
  request: SnapshotRequest,
  run: RunCommand = askHost,
): Promise<CycleSnapshot> {
  const { origin, tag, hooks, time } = request;
  const name = `${origin.vgName}/${snapshotName(origin, time)}`;
  if (isHooked(hooks)) await createFrozen(request, run);
  else await create(request, run);
  // Killed before this, a run cannot know whether the thaw came first.
  if (isHooked(hooks))
    await run(['lvchange', '-q', '--deltag', UNCONFIRMED_TAG, '--', name], SHIELDED);
  const made = (await listSnapshots(origin, tag, run)).find((one) => fullName(one) === name);
  if (made?.state === 'whole') return made;
  throw new LvmsyncError(
    'sourceUnfit',
    `${name}: lvcreate made it, but lvs does not list it as complete`,
  );
}

/** While something is frozen LVM's lock is not waited for: another command may hold it for long. */
const NO_WAIT = ['--config', 'global/wait_for_locks=0'];
/** The commands of others are short, and there may be many of them. */
const MOST_FREEZES = 5;

/** Any wait of lvcreate, and whether it would make the snapshot at all, is found before the freeze. */
async function createFrozen(request: SnapshotRequest, run: RunCommand): Promise<void> {
  for (let freezes = 1; ; freezes++) {
    await create(request, run, ['--test']);
    try {
      const work = (): Promise<void> => create(request, run, NO_WAIT);
      return await whileFrozen(request.hooks, work, request.signal);
    } catch (error) {
      if (!isLocked(error)) throw error;
      if (freezes === MOST_FREEZES) throw neverFree(request, error);
    }
  }
}

/** Whether lvcreate found the lock of the group taken; then it has done nothing. */
function isLocked(error: unknown): boolean {
  const cause = error instanceof LvmsyncError ? error.cause : undefined;
  return cause instanceof CommandError && /can't get lock|flock failed/i.test(cause.stderr);
}

function neverFree(
  { origin: { vgName }, hooks: { thaw } }: SnapshotRequest,
  cause: unknown,
): LvmsyncError {
  const thawed =
    thaw === undefined
      ? 'Nothing was thawed: there is no --thaw-cmd.'
      : 'The service was thawed each time.';
  const what = `other LVM commands held its lock during each of ${MOST_FREEZES} freezes`;
  return new LvmsyncError('sourceUnfit', `${vgName}: ${what}`, {
    state: `${thawed} No snapshot was made, and nothing was sent.`,
    hint: 'Try again when fewer LVM commands are running.',
    cause,
  });
}

export function isHooked({ freeze, thaw }: FreezeHooks): boolean {
  return freeze !== undefined || thaw !== undefined;
}

/** Has lvcreate say whether it could make it now. Changes nothing. Throws as makeSnapshot does. */
export function tryMakingSnapshot(
  request: SnapshotRequest,
  run: RunCommand = askHost,
): Promise<void> {
  return create(request, run, ['--test']);
}

async function create(
  { origin, tag, size, uses = [], hooks, time }: SnapshotRequest,
  run: RunCommand,
  manner: readonly string[] = [],
): Promise<void> {
  const remembered = uses.length === 0 ? [] : [useTag(uses)];
  const unconfirmed = isHooked(hooks) ? [UNCONFIRMED_TAG] : [];
  const tags = [CYCLE_TAG, tag, timeTag(time), ...remembered, ...unconfirmed];
  const argv: Argv = [
    ...(['lvcreate', '-q', '-y', '--snapshot', '--permission', 'r'] as const),
    ...tags.flatMap((one) => ['--addtag', one]),
    ...['--name', snapshotName(origin, time), ...(size ?? []), ...manner],
    ...['--', fullName(origin)],
  ];
  try {
    await run(argv, SHIELDED);
  } catch (error) {
    throw error instanceof CommandError ? withAdvice(error, origin) : error;
  }
}

/** Errors of lvcreate, and what to do about them. */
const ADVICE: readonly (readonly [RegExp, (origin: CycleOrigin) => string])[] = [
  [/thin pool|threshold/i, () => 'The thin pool is too full: enlarge it with lvextend.'],
  [
    /insufficient/i,
    ({ vgName }) =>
      `The volume group has too little room: use a smaller --size, or vgextend ${vgName} DEVICE.`,
  ],
];

function withAdvice(error: CommandError, origin: CycleOrigin): LvmsyncError {
  const advice = ADVICE.find(([pattern]) => pattern.test(error.stderr))?.[1];
  return new LvmsyncError('sourceUnfit', error.message, {
    state: 'No snapshot was made, and nothing was sent.',
    ...(advice === undefined ? {} : { hint: advice(origin) }),
    cause: error,
  });
}

/** Whether another chain made a snapshot of the same volume in the same second. */
export function isNameTaken(error: unknown): boolean {
  const cause = error instanceof LvmsyncError ? error.cause : undefined;
  return cause instanceof CommandError && cause.stderr.includes('already exists');
}

/** A thin snapshot has no device until it is asked for. */
export async function activate(
  { vgName, uuid }: CycleSnapshot,
  run: RunCommand = askHost,
): Promise<void> {
  const which = `lv_uuid="${uuid}"`;
  await run(['lvchange', '-q', '-ay', '-K', '--select', which, '--', vgName], SHIELDED);
}

/** By its uuid, as it is removed: another volume may have its name by now. */
export async function deactivate(
  { vgName, uuid }: CycleSnapshot,
  run: RunCommand = askHost,
): Promise<void> {
  await run(['lvchange', '-q', '-an', '--select', `lv_uuid="${uuid}"`, '--', vgName], SHIELDED);
}

/**
 * LVM picks it by its uuid and our tags while it holds the lock of the group: whatever has the name by
 * now, nothing else can be removed. None that fits is no failure.
 */
export async function removeSnapshot(
  { vgName, uuid }: CycleSnapshot,
  tag: string,
  run: RunCommand = askHost,
): Promise<void> {
  const which = `lv_uuid="${uuid}" && lv_tags={"${CYCLE_TAG}" && "${tag}"}`;
  await run(['lvremove', '-q', '-y', '--select', which, '--', vgName], SHIELDED);
}

/** A former time that is further ahead cannot be waited for: the clock was wrong, or is. Milliseconds. */
const WAIT_LIMIT_MS = 3000;

export interface NewTime {
  /** ISO 8601, UTC. */
  readonly time: string;
  /** Milliseconds until then; 0 where it is of no use to wait. */
  readonly wait: number;
  /** That the times of snapshots are not those of the clock; undefined where they are. */
  readonly warning: string | undefined;
}

/**
 * The time of a snapshot to be made now: later than that one, since their order tells what a turn that was
 * interrupted left. `now`: milliseconds since 1970.
 */
export function timeAfter(former: string | undefined, now: number): NewTime {
  const next = former === undefined ? now : Date.parse(former) + 1000;
  if (next <= now) return { time: pointTime(now), wait: 0, warning: undefined };
  const time = pointTime(next);
  if (next - now <= WAIT_LIMIT_MS) return { time, wait: next - now, warning: undefined };
  const warning = `the newest snapshot is dated in the future, ${localTime(next - 1000)}, but the clock shows ${localTime(now)}: new ones are dated one second apart until the clock has caught up`;
  return { time, wait: 0, warning };
}

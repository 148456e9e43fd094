/** Why a turn cannot be taken, in words, with what to do about it. Pure. */

import { LvmsyncError, withContext } from '../base/errors.js';
import { localTime } from '../base/local-time.js';
import type { VolumeName } from '../lvm/device-name.js';
import { finishMerge } from '../lvm/origin-merge.js';
import { fullName, unfit } from '../lvm/unfit-volume.js';
import { placeName } from '../remote/destination-name.js';
import { redoCommand, undoTurnCommand } from '../remote/undo-hints.js';
import type { Refusal } from './plan.js';
import type { CycleRequest } from './request.js';
import type { Base, CycleSnapshot } from './volumes.js';

/** `command`: with the option. */
function compare(command?: string): string {
  const what = command === undefined ? 'Add --compare' : `Run ${command}`;
  return `${what}: it reads the whole volume and the whole copy, sends only what differs, and keeps the restore points ("lvmsync chain" marks those that may not be exact).`;
}

/** The phrase that completes "VG/LV: ...", and what to do. */
export type Words = readonly [what: string, hint: string];

/** Of the base of a cycle. */
export function overflowed(command?: string): Words {
  return ['it overflowed, so its list of changes is lost', `${compare(command)} ${ROOM}`];
}

/** Of a snapshot of a cycle. `again`: the command of the cycle. */
export function mergedInto(origin: VolumeName, again = 'the same command'): Words {
  return [
    'it is being merged into its origin, or will be',
    `${finishMerge(origin)} ${fullName(origin)} then holds what this snapshot held. Run ${again} again: it says what it needs.`,
  ];
}

export function describeRefusal(
  refusal: Refusal,
  origin: VolumeName,
  { destination, chain }: Place,
): LvmsyncError {
  const place = placeName(destination);
  const state = 'Nothing was sent, and no snapshot was made or removed.';
  const there = (message: string, hint: string): LvmsyncError =>
    new LvmsyncError('destinationUnfit', `${place}: ${message}`, { state, hint });
  const here = (volume: VolumeName, message: string, hint: string): LvmsyncError =>
    withContext(unfit(volume, message, hint), { state });
  switch (refusal.why) {
    case 'noPoint':
      return there(
        `there is no history in ${chain.directory}`,
        'Check the name of the directory. If the copy has no history yet, start with a full copy: the same command with --init, or with --init --compare if most of it is there already.',
      );
    case 'holdsPoint':
      return there(
        `it already has a history, and matches the origin as of ${localTime(refusal.point.time)}`,
        'Leave out --init. With --init --force a new history starts, and the restore points are lost.',
      );
    case 'rollback':
      return there(
        'a rollback there is not finished',
        'Run the same rollback there again: it continues where it stopped. If it cannot be finished, this command with --init --force starts a new history.',
      );
    case 'baseGone':
      return here(
        origin,
        `its snapshot of ${localTime(refusal.point.time)}, which ${place} matches, no longer exists`,
        refusal.wentBack === true ? afterRollback({ destination, chain }) : compare(),
      );
    case 'otherSpelling':
      return here(refusal.base, ...otherSpelling(refusal, place));
    case 'otherOrigin':
      return here(origin, ...otherOrigin(refusal.base, place, fullName(origin)));
    case 'baseLost':
      return here(refusal.base, ...overflowed());
    case 'mending':
      return there(
        `a run with --compare, which makes it match ${localTime(refusal.point.time)} again, is not finished`,
        'Run the same command with --compare, without "=lost": it finishes that first.',
      );
    case 'merging':
      return here(refusal.snapshot, ...mergedInto(origin));
    case 'nextGone':
      return there(
        `it holds part of a snapshot that no longer exists; before that it matched the origin as of ${localTime(refusal.point.time)}`,
        `${compare()} Or go back to that state, ${undoCommand({ destination, chain })}`,
      );
    case 'nextLost':
      return here(
        refusal.next,
        `it overflowed, and ${place} holds part of it; before that it matched the origin as of ${localTime(refusal.point.time)}`,
        `${compare()} ${ROOM} Or undo that part first, ${undoCommand({ destination, chain })}`,
      );
  }
}

function afterRollback(place: Place): string {
  const redo = commandThere(redoCommand, place);
  return `The copy was rolled back to it. To continue from where it was before, undo the rollback first, ${redo}; or run it once with --compare, without "=lost": the copy then matches the origin as it is now. The restore points stay; --redo is then no longer possible.`;
}

function otherOrigin({ origin, snapshot }: Base, place: string, named: string): Words {
  const right = fullName(origin);
  return [
    `${place} is the copy of ${right}: it matches the snapshot ${fullName(snapshot)}`,
    `Name ${right}, or name another destination and another --snapback directory for ${named}.`,
  ];
}

/** What and hint. */
function otherSpelling(
  refusal: Extract<Refusal, { why: 'otherSpelling' }>,
  place: string,
): [what: string, hint: string] {
  const time = localTime(refusal.base.time);
  return [
    `the snapshot of ${time}, which ${place} matches, belongs to the cycle under another spelling of host, destination or directory`,
    `Use the same names as before. Or, if you will no longer use those, move its snapshots to this cycle: ${retagCommand(refusal)}`,
  ];
}

/** All of them: of those that stay behind nobody would know that they can be removed. */
function retagCommand({ former, tag }: Extract<Refusal, { why: 'otherSpelling' }>): string {
  const names = former.snapshots.map(fullName).join(' ');
  return `lvchange --deltag ${former.tag} --addtag ${tag} ${names}`;
}

/** The new snapshot of a turn overflowed while it was sent: what is left of it nobody can send. */
export function describeOverflow(
  next: CycleSnapshot,
  {
    destination,
    chain,
    isFirst,
    isPulled,
  }: Place & { readonly isFirst: boolean; readonly isPulled?: boolean },
): LvmsyncError {
  return unfit(next, 'it overflowed while it was being sent', `${ROOM} ${again()}`);

  function again(): string {
    if (isFirst) return 'The next run with --init makes another one.';
    if (isPulled) return 'The next run says what it needs.';
    const undo = undoCommand({ destination, chain });
    return `A run with --compare overwrites the part that was written. It is quicker to undo that part before the next run, ${undo}`;
  }
}

const ROOM = 'Use a larger --size; --size auto gives twice the size of the one that overflowed.';

type Place = Pick<CycleRequest, 'destination' | 'chain'>;

/** Where to run which command. */
function undoCommand(place: Place): string {
  return commandThere(undoTurnCommand, place);
}

function commandThere(
  command: typeof undoTurnCommand,
  { destination: { host, path }, chain: { directory } }: Place,
): string {
  const where = host === undefined ? 'here' : `on ${host}`;
  return `${where}: ${command({ directory, path, host })}`;
}

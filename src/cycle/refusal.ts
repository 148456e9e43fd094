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
import type { Base, CycleOrigin, CycleSnapshot } from './volumes.js';

const ANEW =
  'Start a new history: the same command with --init --force copies everything. The restore points are then lost: if you need one, roll back to it and copy its data elsewhere before that.';

export function describeRefusal(
  refusal: Refusal,
  origin: CycleOrigin,
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
        'Check the name of the directory. If the copy has no history yet, start with a full copy: the same command with --init.',
      );
    case 'holdsPoint':
      return there(
        `it already has a history, and matches the origin as of ${localTime(refusal.point.time)}`,
        'Leave out --init. With --init --force everything is copied again, and the restore points are lost.',
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
        refusal.wentBack === true
          ? `The copy was rolled back to it. To continue the history, undo the rollback first, ${commandThere(redoCommand, { destination, chain })}; or start a new history with --init --force: it overwrites the copy with the origin as it is now, and the restore points are lost. Copy what you need of the older state elsewhere first.`
          : ANEW,
      );
    case 'otherSpelling':
      return here(
        refusal.base,
        `the snapshot of ${localTime(refusal.base.time)}, which ${place} matches, belongs to the cycle under another spelling of host, destination or directory`,
        `Use the same names as before. Or, if you will no longer use those, move its snapshots to this cycle: ${retagCommand(refusal)}`,
      );
    case 'otherOrigin':
      return here(origin, ...otherOrigin(refusal.base, place, fullName(origin)));
    case 'baseLost':
      return here(refusal.base, 'it overflowed, so its list of changes is lost', `${ANEW} ${ROOM}`);
    case 'merging':
      return here(
        refusal.snapshot,
        'it is being merged into its origin, or will be',
        `${finishMerge(origin)} ${fullName(origin)} then holds what this snapshot held. Run the same command again: it says if a new history is needed.`,
      );
    case 'nextGone':
      return there(
        `it holds part of a snapshot that no longer exists; before that it matched the origin as of ${localTime(refusal.point.time)}`,
        `Go back to that state, ${undoCommand({ destination, chain })}`,
      );
    case 'nextLost':
      return here(
        refusal.next,
        `it overflowed, and ${place} holds part of it; before that it matched the origin as of ${localTime(refusal.point.time)}`,
        `Undo that part first, then run the cycle again with a larger --size. Undo it ${undoCommand({ destination, chain })}`,
      );
  }
}

/** What and hint. */
function otherOrigin(
  { origin, snapshot }: Base,
  place: string,
  named: string,
): [what: string, hint: string] {
  const right = fullName(origin);
  return [
    `${place} is the copy of ${right}: it matches the snapshot ${fullName(snapshot)}`,
    `Name ${right}, or name another destination and another --snapback directory for ${named}.`,
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
  { destination, chain, isFirst }: Place & { readonly isFirst: boolean },
): LvmsyncError {
  const hint = isFirst
    ? `${ROOM} The next run with --init makes another one.`
    : `${ROOM} Before the next cycle run, undo the part that was written, ${undoCommand({ destination, chain })}`;
  return unfit(next, 'it overflowed while it was being sent', hint);
}

const ROOM = 'Use a larger --size; --size auto takes twice that of one that overflowed.';

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

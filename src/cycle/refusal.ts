/** Why a turn cannot be taken, in words, with what to do about it. Pure. */

import { LvmsyncError } from '../base/errors.js';
import { localTime } from '../base/local-time.js';
import { fullName, unfit } from '../lvm/refusal.js';
import { placeName } from '../remote/destination-name.js';
import { redoCommand, undoTurnCommand } from '../remote/remote-command.js';
import type { Refusal } from './plan.js';
import type { CycleRequest } from './request.js';
import type { CycleOrigin, CycleSnapshot } from './volumes.js';

const ANEW =
  'Begin the chain anew: the same command with --init --force copies everything; the existing snapbacks can then no longer be used to roll back.';

export function describeRefusal(
  refusal: Refusal,
  origin: CycleOrigin,
  { destination, chain }: Place,
): LvmsyncError {
  const place = placeName(destination);
  const state = 'Nothing was sent, and no snapshot was made or removed.';
  const there = (message: string, hint: string): LvmsyncError =>
    new LvmsyncError('destinationUnfit', `${place}: ${message}`, { state, hint });
  switch (refusal.why) {
    case 'noPoint':
      return there(
        `no chain in ${chain.directory} says what it holds`,
        'Begin one with a full copy: the same command with --init.',
      );
    case 'holdsPoint':
      return there(
        `its chain has begun, it matches the origin as of ${localTime(refusal.point.time)}`,
        'Leave out --init; with --force, too, everything is copied once more.',
      );
    case 'rollback':
      return there(
        'a rollback was begun there and has not come to its end',
        'Run the same rollback there again, it goes on where it was. If it cannot be finished, the same command with --init --force begins the chain anew.',
      );
    case 'baseGone':
      return unfit(
        origin,
        `its snapshot of ${localTime(refusal.point.time)} is gone, which is what ${place} holds`,
        refusal.wentBack === true
          ? `A rollback went back to it. To go on with the chain, take that back first, ${commandThere(redoCommand, { destination, chain })}; or, to keep what it holds now, begin anew with --init --force, which copies everything.`
          : ANEW,
      );
    case 'otherSpelling':
      return new LvmsyncError(
        'sourceUnfit',
        `${fullName(refusal.base)}: the snapshot of ${localTime(refusal.base.time)}, which is what ${place} holds, belongs to the cycle under another spelling of host, destination or directory`,
        {
          state,
          hint: `Use the same words as before. Or, where those will not be used any more, give this cycle its snapshots: ${retagCommand(refusal)}`,
        },
      );
    case 'baseLost':
      return unfit(refusal.base, 'it overflowed, its list of changes is lost', `${ANEW} ${ROOM}`);
    case 'merging':
      return unfit(
        refusal.snapshot,
        'it is being merged, or will be, into its origin',
        `After the merge ${fullName(origin)} holds what it was then. ${ANEW}`,
      );
    case 'nextGone':
      return there(
        `it holds part of a snapshot that is gone; what it held before was of ${localTime(refusal.point.time)}`,
        `Go back to that, ${undoCommand({ destination, chain })}`,
      );
    case 'nextLost':
      return unfit(
        refusal.next,
        `it overflowed, and ${place} holds part of it; what that held before was of ${localTime(refusal.point.time)}`,
        `${ROOM} Go back to what was held before, ${undoCommand({ destination, chain })}`,
      );
  }
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
    ? `${ROOM} The next turn, under --init, makes another.`
    : `${ROOM} What was written of it has to be undone before the next turn, ${undoCommand({ destination, chain })}`;
  return unfit(next, 'it overflowed while it was sent', hint);
}

const ROOM = 'A larger --size keeps a snapshot from overflowing.';

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

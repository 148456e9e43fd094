/** Why a cycle run that is pulled cannot be made, in words for both hosts. Pure. */

import { LvmsyncError, withContext } from '../base/errors.js';
import { localTime } from '../base/local-time.js';
import type { VolumeName } from '../lvm/device-name.js';
import { finishMerge } from '../lvm/origin-merge.js';
import { fullName, unfit } from '../lvm/unfit-volume.js';
import type { Refusal } from './plan.js';
import type { CycleOrigin, CycleSnapshot } from './volumes.js';

const STATE = 'Nothing was sent, and no snapshot was made or removed.';
const COMPARE =
  'Run the same command on the host of the copy with --compare: it reads the whole volume and the whole copy, fetches only what differs, and keeps the restore points.';
const BACK =
  'The copy was rolled back to it. To continue from where it was before, undo the rollback first, on its host: lvmsync rollback --redo COPY DIR. Or run the same command there once with --compare, without "=lost": the copy then matches the volume as it is now, and --redo is no longer possible.';
const UNDO = 'Undo that part on the host of the copy: lvmsync rollback --steps 0 COPY DIR.';
const ROOM = 'Use a larger --size here, or --size auto.';

export function describePullRefusal(refusal: Refusal, origin: CycleOrigin): LvmsyncError {
  const here = (volume: VolumeName, what: string, hint: string): LvmsyncError =>
    withContext(unfit(volume, what, hint), { state: STATE });
  switch (refusal.why) {
    case 'baseGone': {
      const time = localTime(refusal.point.time);
      const what = `its snapshot of ${time}, which the copy matches, no longer exists`;
      return here(origin, what, refusal.wentBack === true ? BACK : COMPARE);
    }
    case 'otherSpelling': {
      const names = refusal.former.snapshots.map(fullName).join(' ');
      const retag = `lvchange --deltag ${refusal.former.tag} --addtag ${refusal.tag} ${names}`;
      const what =
        'the copy matches it, but it belongs to a cycle with other names of copy or directory, with another key, or that is sent from here';
      const hint = `Use the same names and the same key as before. Or, if you will no longer use those, move its snapshots to this cycle, on this host: ${retag}`;
      return here(refusal.base, what, hint);
    }
    case 'baseLost':
      return here(
        refusal.base,
        'it overflowed, so its list of changes is lost',
        `${COMPARE} ${ROOM}`,
      );
    case 'nextGone': {
      const what = 'the copy holds part of a snapshot that no longer exists';
      return here(origin, what, `${UNDO} Or: ${COMPARE}`);
    }
    case 'nextLost': {
      const what = 'it overflowed, and the copy holds part of it';
      return here(refusal.next, what, `${ROOM} ${UNDO} Or: ${COMPARE}`);
    }
    case 'merging': {
      const what = 'it is being merged into its origin, or will be';
      return here(refusal.snapshot, what, `${finishMerge(origin)} Then run the cycle again.`);
    }
    default:
      // The puller knows these by itself; one that asks all the same does not keep to its own record.
      return new LvmsyncError('destinationUnfit', 'puller: its copy cannot take this cycle run', {
        state: STATE,
        hint: 'On the host of the copy, "lvmsync chain DIR COPY" shows what it holds.',
      });
  }
}

/** Another copy is kept under the same name, by a host that has the same key or the same forced command. */
export function describeOtherCopy(other: CycleSnapshot, origin: CycleOrigin): LvmsyncError {
  const name = fullName(origin);
  const end = `lvmsync cycle --end --serve ${name}`;
  const fault = unfit(
    other,
    `it was made for a run that fetched ${name} with another DESTINATION or directory`,
    `If that copy is kept, give the key of this one a forced command with a name of its own: lvmsync cycle --serve ${name} NAME. If that run was a mistake, or its copy is gone, end its cycle on this host: ${end}, with the NAME if it has one.`,
  );
  return withContext(fault, { state: STATE });
}

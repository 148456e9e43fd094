/** What there is where a volume has no snapshot of the cycle that was named: those of other cycles, or of another volume. */

import { LvmsyncError } from '../base/errors.js';
import { CommandError, type RunCommand } from '../host/subprocess.js';
import { askHost } from '../lvm/host-tools.js';
import { listTaggedVolumes, type TaggedVolume } from '../lvm/lvs-report.js';
import { fullName, unfit } from '../lvm/unfit-volume.js';
import { placeName } from '../remote/destination-name.js';
import { CYCLE_TAG, chainTagOf } from './names.js';
import type { ChainState } from './plan.js';
import type { CycleRequest } from './request.js';
import {
  type Base,
  type CycleOrigin,
  type CycleSnapshot,
  describeSnapshot,
  ofChain,
} from './volumes.js';

export interface OtherCycles {
  /** Snapshots of the same volume that belong to other cycles. */
  readonly ofOrigin: readonly CycleSnapshot[];
  /** A snapshot of this cycle, of another volume. */
  readonly elsewhere: Base | undefined;
}

export async function findOtherCycles(
  origin: CycleOrigin,
  tag: string,
  run: RunCommand = askHost,
): Promise<OtherCycles> {
  const volumes = await listTaggedVolumes(undefined, run).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    // Another group may be damaged.
    return listTaggedVolumes(origin.vgName, run);
  });
  const ofCycles = volumes.filter(({ tags }) => tags.includes(CYCLE_TAG));
  const others = new Set(ofCycles.flatMap(({ tags }) => chainTagOf(tags) ?? []));
  others.delete(tag);
  const inGroup = volumes.filter(({ vgName }) => vgName === origin.vgName);
  const ofOrigin = [...others].flatMap((other) => ofChain(inGroup, origin, other));
  const isElsewhere = ({ tags, origin: of }: TaggedVolume): boolean =>
    tags.includes(tag) && of !== undefined && of.uuid !== origin.uuid;
  const found = ofCycles.find(isElsewhere);
  if (found?.origin === undefined) return { ofOrigin, elsewhere: undefined };
  const { vgName, lvName } = found;
  const elsewhere = {
    origin: { vgName, lvName: found.origin.lvName },
    snapshot: { vgName, lvName },
  };
  return { ofOrigin, elsewhere };
}

const STATE = { state: 'Nothing was removed.' };
const AS_ITS_RUNS =
  'write DESTINATION and the directory as its runs do, as in the file of its timer.';

/**
 * Whether the cycle has ended, and was not named wrongly. Throws (sourceUnfit) where it was, or may have been.
 * `chain` is what the destination says of its chain; undefined where it does not answer.
 */
export function requireEnded(
  { ofOrigin, elsewhere }: OtherCycles,
  origin: CycleOrigin,
  { destination, chain: { directory } }: Pick<CycleRequest, 'destination' | 'chain'>,
  chain: ChainState | undefined,
): void {
  const place = placeName(destination);
  if (elsewhere !== undefined) {
    const right = fullName(elsewhere.origin);
    throw new LvmsyncError(
      'sourceUnfit',
      `${fullName(origin)}: the cycle to ${place} with ${directory} is one of ${right}: ${fullName(elsewhere.snapshot)} belongs to it`,
      { ...STATE, hint: `Name ${right} in place of ${fullName(origin)}.` },
    );
  }
  if (ofOrigin.length === 0) return;
  const begun = chain?.doing?.what === 'turn' ? chain.doing.to.uuid : undefined;
  const known = [chain?.point?.uuid, begun];
  const own = ofOrigin.find(({ uuid }) => known.includes(uuid));
  if (own !== undefined) {
    const what = `it belongs to the cycle to ${place} under another spelling of host, destination or directory`;
    throw new LvmsyncError('sourceUnfit', unfit(own, what).message, {
      ...STATE,
      hint: `To end that cycle, ${AS_ITS_RUNS}`,
    });
  }
  // The destination has that chain, and its snapshot is gone. After a rollback that says nothing of the newest one.
  if (chain?.point !== undefined && chain.wentBack !== true) return;
  const found = ofOrigin.map(describeSnapshot).join(', ');
  throw new LvmsyncError(
    'sourceUnfit',
    `${fullName(origin)}: it has no snapshot of the cycle to ${place} with ${directory}, but of another one: ${found}`,
    {
      ...STATE,
      hint: `To end that one, ${AS_ITS_RUNS} If you ended the cycle to ${place} before, nothing is left to do.`,
    },
  );
}

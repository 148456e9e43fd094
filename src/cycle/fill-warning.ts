/** Warns, while there is time, of what a cycle would be lost by: a base, or a thin pool, that fills up. */

import { LvmsyncError } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import type { RunCommand } from '../host/subprocess.js';
import { askHost } from '../lvm/host-tools.js';
import { listVolumes } from '../lvm/lvs-report.js';
import { fillsOf } from '../lvm/store-status.js';
import { findThinPool, readPoolStatus } from '../lvm/thin-pool.js';
import { fullName } from '../lvm/unfit-volume.js';
import type { Fill } from '../run/progress.js';
import type { Reporter } from '../run/reporter.js';
import type { StoreUse } from '../run/run-tally.js';
import type { ChainState } from './plan.js';
import type { CycleRequest } from './request.js';
import { coveringSize, describeNeed, neededSize, sizeOption } from './snapshot-size.js';
import { type CycleStore, usesUpTo } from './stores.js';
import type { CycleOrigin } from './volumes.js';

/** Of a base: an interval like the one before it would fill it. */
const HALF_FULL = 0.5;
/** Of a pool, which others fill, too. */
const NEARLY_FULL = 0.8;

export interface Watched {
  readonly origin: CycleOrigin;
  readonly stores: readonly CycleStore[];
  readonly command: Pick<CycleRequest, 'size' | 'chain'> & Partial<Pick<CycleRequest, 'remote'>>;
  readonly context: { readonly reporter: Pick<Reporter, 'warn' | 'tally'> };
}

/**
 * Resolves with what the chain answers. Warns also where it does not: a host that has been down for long is when a
 * base fills up. Which snapshot is the base only the chain knows; without it, the fullest one is named.
 */
export async function askWarning(
  watched: Watched,
  ask: () => Promise<ChainState>,
  run: RunCommand = askHost,
): Promise<ChainState> {
  const { origin } = watched;
  if (origin.kind === 'thin') {
    reportPool(await readPoolFills(origin, run), watched);
    return ask();
  }
  const { stores } = watched;
  // A full copy needs no list of changes.
  if (watched.command.chain.init) return ask();
  try {
    const chain = await ask();
    reportBase(
      stores.find(({ snapshot }) => snapshot.uuid === chain.point?.uuid),
      watched,
    );
    return chain;
  } catch (error) {
    const fullest = [...stores].sort((a, b) => b.used / b.size - a.used / a.size);
    reportBase(
      fullest.find(({ snapshot }) => snapshot.state === 'whole'),
      watched,
    );
    throw error;
  }
}

function reportBase(base: CycleStore | undefined, watched: Watched): void {
  if (base === undefined) return;
  const { reporter } = watched.context;
  const { origin, stores, command } = watched;
  const uses = usesUpTo(base.snapshot, stores);
  const wanted = Math.min(neededSize(uses), coveringSize(origin.size));
  const use: StoreUse = { base: base.used / base.size, wanted };
  reporter.tally.storeUse = use;
  const isAuto = command.size === 'auto';
  const warning = fillWarning({ base, uses, origin, isAuto });
  if (warning !== undefined) reporter.warn(warning);
}

export interface FilledBase {
  readonly base: CycleStore;
  /** Bytes, the newest first: its own and those of the ones before. */
  readonly uses: readonly number[];
  readonly origin: Pick<CycleOrigin, 'size'>;
  readonly isAuto: boolean;
}

/** Undefined where it has room for as much again, or can hold all of the volume. */
export function fillWarning({ base, uses, origin, isAuto }: FilledBase): string | undefined {
  const { snapshot, used, size } = base;
  const most = coveringSize(origin.size);
  if (snapshot.state === 'lost' || used <= HALF_FULL * size || size >= most) return undefined;
  const needed = neededSize(uses);
  const option = sizeOption(Math.min(needed, most));
  const remedy = isAuto
    ? `--size auto gives the next ones ${option}`
    : `give the next ones --size ${option}`;
  const why = needed < most ? describeNeed(uses) : 'with which they can hold all of the volume';
  const percent = Math.floor((100 * used) / size);
  return `${fullName(snapshot)}: at the beginning of this run it is ${percent}% full (${humanSize(used)} of ${humanSize(size)}); if it overflows, the next run has to compare everything (--compare): ${remedy}, ${why}`;
}

async function readPoolFills(
  { vgName, uuid }: CycleOrigin,
  run: RunCommand,
): Promise<readonly Fill[]> {
  try {
    const volume = (await listVolumes(vgName, run)).find((one) => one.uuid === uuid);
    if (volume === undefined) return [];
    const pool = await findThinPool({ vgName, poolName: volume.poolName }, run);
    const target = await readPoolStatus(pool, run);
    return fillsOf({ store: pool, target });
  } catch (error) {
    // The run says itself what is wrong with its pool.
    if (error instanceof LvmsyncError) return [];
    throw error;
  }
}

function reportPool(fills: readonly Fill[], { context: { reporter } }: Watched): void {
  const shareOf = (what: Fill['what']): number | undefined => {
    const fill = fills.find((one) => one.what === what);
    return fill && fill.percent / 100;
  };
  const [data, metadata] = [shareOf('data'), shareOf('metadata')];
  reporter.tally.storeUse = {
    ...(data !== undefined && { data }),
    ...(metadata !== undefined && { metadata }),
  };
  const warning = poolWarning(fills);
  if (warning !== undefined) reporter.warn(warning);
}

export function poolWarning(fills: readonly Fill[]): string | undefined {
  const full = fills.filter(({ percent }) => percent > 100 * NEARLY_FULL);
  const [first] = full;
  if (first === undefined) return undefined;
  const parts = full.map(({ what, percent }) => `its ${what} are ${Math.floor(percent)}% full`);
  const options = full.map(({ what }) => (what === 'metadata' ? '--poolmetadatasize' : '--size'));
  const remedies = options.map((option) => `"lvextend ${option} +SIZE ${first.name}"`);
  return `${first.name}: ${parts.join(' and ')}, and when it is full, writes to all its volumes fail: make room with ${remedies.join(' and ')}`;
}

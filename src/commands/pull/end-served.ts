/** `lvmsync cycle --end --serve VG/LV [NAME]`: removes the snapshots of a cycle that is pulled, on the host of the volume. */

import { EXIT, LvmsyncError, withContext } from '../../base/errors.js';
import type { ServeCommand } from '../../cli/command.js';
import { checkCycleFree, lockCycle } from '../../cycle/cycle-lock.js';
import { pulledScope } from '../../cycle/names.js';
import { findOtherCycles } from '../../cycle/other-cycles.js';
import { findPulled } from '../../cycle/pulled-cycles.js';
import { type CycleOrigin, describeSnapshot, findOrigin } from '../../cycle/volumes.js';
import { finishMerge } from '../../lvm/origin-merge.js';
import { fullName, unfit } from '../../lvm/unfit-volume.js';
import type { RunContext } from '../../run/context.js';
import { formatRows, type Row } from '../dry-run-report.js';
import { removeAll } from '../end-cycle.js';

/** The host of the copy is not asked: it may be gone. */
export async function endServed(
  { name, cycle }: ServeCommand,
  context: RunContext,
): Promise<number> {
  const origin = await findOrigin(cycle.origin);
  const scope = pulledScope(name);
  const lock = cycle.dryRun
    ? checkCycleFree(origin, scope)
    : await lockCycle(origin, scope, context);
  try {
    const found = await findPulled(origin, name);
    const all = found.flatMap(({ snapshots }) => snapshots);
    if (all.length === 0) await requireNoOther(origin, name);
    const merging = all.find(({ state }) => state === 'merging');
    if (merging !== undefined) throw inMerge(merging, origin);
    if (cycle.dryRun) {
      const rows = all.map((one): Row => ['remove', describeSnapshot(one)]);
      const heading = `Dry run: the end of the cycle that is pulled from ${fullName(origin)}`;
      context.print(formatRows(heading, rows));
      return EXIT.done;
    }
    for (const { tag, snapshots } of found) {
      await removeAll([...snapshots].reverse(), { origin, tag }, context);
    }
    const what =
      all.length === 0
        ? 'it has no snapshot of such a cycle'
        : 'the cycle that was pulled has ended; the copy and its restore points stay';
    context.reporter.info(`${fullName(origin)}: ${what}`);
    return EXIT.done;
  } finally {
    lock.release();
  }
}

/** Throws (sourceUnfit) where another name may have been meant. */
async function requireNoOther(origin: CycleOrigin, name: string): Promise<void> {
  const { ofOrigin } = await findOtherCycles(origin, '');
  if (ofOrigin.length === 0) return;
  const named = name === '' ? 'without a NAME' : `under the name ${name}`;
  const found = ofOrigin.map(describeSnapshot).join(', ');
  throw new LvmsyncError(
    'sourceUnfit',
    `${fullName(origin)}: it has no snapshot of a cycle that is fetched ${named}, but of another one: ${found}`,
    {
      state: 'Nothing was removed.',
      hint: 'To end that one, write the NAME of its forced command; for a cycle that is sent from here, lvmsync cycle --end VOLUME DESTINATION --snapback DIR. If you ended this one before, nothing is left to do.',
    },
  );
}

function inMerge(merging: Parameters<typeof unfit>[0], origin: CycleOrigin): LvmsyncError {
  const hint = `${finishMerge(origin)} Then run the same command again.`;
  const fault = unfit(merging, 'it is being merged into its origin, or will be', hint);
  return withContext(fault, { state: 'Nothing was removed.' });
}

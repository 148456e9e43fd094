/** The volumes of this host, if LVM can be asked. */

import { errnoOf } from '../../base/errno.js';
import { LvmsyncError } from '../../base/errors.js';
import { isSnapshotName } from '../../cycle/names.js';
import { CommandError, type RunCommand } from '../../host/subprocess.js';
import type { VolumeName } from '../../lvm/device-name.js';
import { askHost } from '../../lvm/host-tools.js';
import { volumesInKernel } from '../../lvm/kernel-volumes.js';
import { type FilledVolume, listAllVolumes } from '../../lvm/lvs-report.js';
import { fullName } from '../../lvm/unfit-volume.js';
import { type Patience, within } from './limit.js';

export interface LvmAnswer {
  readonly volumes: readonly FilledVolume[];
  /** Why not all could be seen. */
  readonly failure: LvmsyncError | undefined;
  /** Why it was not asked, where that is no trouble. */
  readonly note: string | undefined;
}

export interface LvmHost {
  readonly run: RunCommand;
  readonly inKernel: () => readonly VolumeName[];
  readonly isRoot: boolean;
}

const REAL: LvmHost = {
  run: askHost,
  inKernel: volumesInKernel,
  isRoot: process.geteuid?.() === 0,
};

const LATE = {
  subject: 'lvs',
  hint: 'Another command may hold the lock of LVM, or a disk may not answer: see "lsof /run/lock/lvm" and "dmesg".',
};

/**
 * A host without LVM's tools cannot have cycles of its own, and a user who is not root makes none: neither is
 * trouble, unless the kernel has the snapshot of a cycle.
 */
export async function askLvm(
  { limitSeconds, signal }: Patience,
  { run, inKernel, isRoot }: LvmHost = REAL,
): Promise<LvmAnswer> {
  if (!isRoot) {
    const hint = 'Run it as root: sudo lvmsync status';
    return unasked('only root can see the cycles of this host', hint, inKernel());
  }
  const before = inKernel();
  const stop = new AbortController();
  const asked = listAllVolumes((argv, options) => run(argv, { ...options, signal: stop.signal }));
  try {
    const { volumes, fault } = await within(asked, { limitSeconds, signal }, LATE);
    const failure = fault ?? unlisted([before, inKernel()], volumes);
    return { volumes, failure, note: undefined };
  } catch (error) {
    if (!(error instanceof LvmsyncError) || signal.aborted) throw error;
    if (!isMissing(error)) return { volumes: [], failure: error, note: undefined };
    return unasked("LVM's tools are not installed on this host", error.hint, inKernel());
  } finally {
    // One that is late is ended.
    stop.abort(new LvmsyncError('sourceUnfit', 'lvs: ended'));
    await ended(asked);
  }
}

/** A snapshot of a cycle that the kernel had before LVM was asked, and still has, but that LVM does not know. */
function unlisted(
  [before, after]: readonly [readonly VolumeName[], readonly VolumeName[]],
  volumes: readonly VolumeName[],
): LvmsyncError | undefined {
  const known = new Set(volumes.map(fullName));
  const still = new Set(after.map(fullName));
  const found = before.find((one) => {
    const name = fullName(one);
    return isSnapshotName(one.lvName) && still.has(name) && !known.has(name);
  });
  if (found === undefined) return undefined;
  const message = `lvs: it does not list ${fullName(found)}, a snapshot of a cycle that the kernel has`;
  return new LvmsyncError('sourceUnfit', message, {
    hint: 'Is its volume group damaged, or hidden by a filter of LVM? See "vgs" and "pvs".',
  });
}

function isMissing(error: LvmsyncError): boolean {
  return error instanceof CommandError && errnoOf(error.cause) === 'ENOENT';
}

function unasked(
  why: string,
  hint: string | undefined,
  inKernel: readonly VolumeName[],
): LvmAnswer {
  const snapshot = inKernel.find(({ lvName }) => isSnapshotName(lvName));
  if (snapshot === undefined) return { volumes: [], failure: undefined, note: why };
  const message = `${why}, but the kernel has ${fullName(snapshot)}, a snapshot of a cycle`;
  const failure = new LvmsyncError('sourceUnfit', message, hint === undefined ? {} : { hint });
  return { volumes: [], failure, note: undefined };
}

/** Milliseconds: one that waits for a disk cannot be ended. */
const LAST_WAIT_MS = 3000;

/** Resolves when the command has ended, or soon. */
async function ended(command: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise((resolve) => {
    timer = setTimeout(resolve, LAST_WAIT_MS);
  });
  await Promise.race([command.catch(() => undefined), enough]);
  clearTimeout(timer);
}

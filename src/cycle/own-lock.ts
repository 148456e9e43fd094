/** What a cycle is known by on the host of its volume, and the lock that its runs take. */

import { resolve } from 'node:path';
import { acquireRunLock, type RunLock, requireUnlocked } from '../host/run-lock.js';
import { fullName } from '../lvm/unfit-volume.js';
import type { RunContext } from '../run/context.js';
import { chainTag } from './names.js';
import type { CycleRequest } from './request.js';
import type { CycleOrigin } from './volumes.js';

/** Paths of this machine mean the same from every directory. */
export function tagOf({
  destination: { host, path },
  chain: { directory },
}: Pick<CycleRequest, 'destination' | 'chain'>): string {
  if (host !== undefined) return chainTag({ host, path }, directory);
  return chainTag({ path: resolve(path) }, resolve(directory));
}

/** Two turns of one chain would each take the other's new snapshot for an interrupted one's. */
export function lockCycle(
  origin: CycleOrigin,
  tag: string,
  { commandLine }: Pick<RunContext, 'commandLine'>,
): Promise<RunLock> {
  return acquireRunLock(keyOf(origin, tag), { path: nameOf(origin), command: commandLine });
}

/** Throws (locked) as lockCycle would, and locks nothing. */
export function checkCycleFree(origin: CycleOrigin, tag: string): Pick<RunLock, 'release'> {
  requireUnlocked(keyOf(origin, tag), { path: nameOf(origin) });
  return { release: () => undefined };
}

function keyOf({ uuid }: CycleOrigin, tag: string): string {
  return `file-cycle/${uuid}-${tag}`;
}

function nameOf(origin: CycleOrigin): string {
  return `the cycle of ${fullName(origin)}`;
}

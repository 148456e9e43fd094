/** The tag by which a cycle is known, and the lock that keeps two of its turns apart. */

import { resolve } from 'node:path';
import { acquireRunLock, type RunLock, requireUnlocked } from '../host/run-lock.js';
import { fullName } from '../lvm/unfit-volume.js';
import type { RunContext } from '../run/context.js';
import { chainTag } from './names.js';
import type { CycleRequest } from './request.js';
import type { CycleOrigin } from './volumes.js';

/** Paths of this machine mean the same from every directory. */
export function tagOf({ destination, chain }: Pick<CycleRequest, 'destination' | 'chain'>): string {
  const { host, path } = destination;
  if (host !== undefined) return chainTag({ host, path }, chain.directory);
  return chainTag({ path: resolve(path) }, resolve(chain.directory));
}

type Locked = Pick<CycleOrigin, 'vgName' | 'lvName' | 'uuid'>;

/** Two turns of one chain would each take the other's new snapshot for an interrupted one's. */
export function lockCycle(
  origin: Locked,
  tag: string,
  { commandLine }: Pick<RunContext, 'commandLine'>,
): Promise<RunLock> {
  return acquireRunLock(keyOf(origin, tag), { path: nameOf(origin), command: commandLine });
}

/** Throws (locked) as lockCycle would, and locks nothing. */
export function checkCycleFree(origin: Locked, tag: string): Pick<RunLock, 'release'> {
  requireUnlocked(keyOf(origin, tag), { path: nameOf(origin) });
  return { release: () => undefined };
}

function keyOf({ uuid }: Locked, tag: string): string {
  return `file-cycle/${uuid}-${tag}`;
}

function nameOf(origin: Locked): string {
  return `the cycle of ${fullName(origin)}`;
}

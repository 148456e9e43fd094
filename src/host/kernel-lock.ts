/**
 * Files that say whose they are. The process holds a lock of the kernel (flock) on its file, which ends
 * with it, however it ends and in whatever container: a pid says nothing outside its namespace, and is
 * given out again.
 */

import { native } from './native.js';
import { hasEnded, ownIdentity, type ProcessIdentity } from './process-identity.js';

export interface FileOwner extends ProcessIdentity {
  /**
   * The owner holds the kernel's lock on the file for as long as it lives. Absent where the file system
   * has no such locks, and in files of older versions: then the pid counts, as it still does for those.
   */
  readonly kernelLock?: true;
}

/**
 * This process, which from now on owns the file. To be called before others can see the file; the
 * descriptor has to stay open for as long as it is to be owned. No child inherits it (Node opens with
 * O_CLOEXEC).
 */
export function ownFile(fd: number): FileOwner {
  return { ...ownIdentity(), ...(native.lockFile(fd) ? { kernelLock: true } : {}) };
}

/** Whether the owner of the file, open for reading, has surely ended. */
export function ownerHasEnded(owner: FileOwner, fd: number): boolean {
  const isLocked = owner.kernelLock === true ? native.isFileLocked(fd) : null;
  return isLocked === null ? hasEnded(owner) : !isLocked;
}

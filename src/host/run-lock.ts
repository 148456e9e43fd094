/**
 * Keeps two runs of lvmsync off one thing: a destination, a chain, a cycle or a thin pool (a "destination" below).
 *
 * Every run that wants a destination puts a claim file of its own into the lock directory, and only
 * then looks for those of others. Of two runs the one whose claim came second must see the first, so
 * two can never both find none. No file is ever taken over: each has a name that is used once, so the
 * claim of a process that has ended can be removed by anyone at any time without a race. That a process
 * lives the kernel says, which takes back the lock on its claim file when it ends (kernel-lock.ts).
 *
 * The receivers of one set of streams want the same destination and write disjoint parts of it: their
 * claims do not stand against each other, but each of them does against everybody else's, so that the
 * destination is free when the last of them has ended.
 */

import { randomUUID } from 'node:crypto';
import { closeSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';
import {
  claimPrefix,
  HELD_LINE,
  KERNEL_CLAIM_LINE,
  listClaims,
  locked,
  type Owner,
  type Rival,
  SUFFIX,
} from './claim-file.js';
import { ownFile } from './kernel-lock.js';
import { findLockDirectory, openLockDirectory } from './lock-directory.js';

export interface LockRequest {
  /** The destination as the user named it: for messages. */
  readonly path: string;
  /** The command line, shown to a run that finds the lock held. */
  readonly command: string;
  /** Names the set of streams that this run receives one of; the others of the set are let in. */
  readonly set?: string | undefined;
  /** Must exist. Default: /run/lvmsync, or a directory of this user in the place for temporary files. */
  readonly directory?: string;
}

export interface Sibling {
  readonly pid: number;
  /** It said so by noteKernelClaim. */
  readonly hasKernelClaim: boolean;
}

export interface RunLock {
  /** The other runs of the set that hold this lock now. */
  siblings(): Sibling[];
  /** Tells the others of the set that this run holds the kernel's claim, so that they can do without. */
  noteKernelClaim(): void;
  /** May be called more than once. A process that ends without it leaves nothing that holds. */
  release(): void;
}

/**
 * `key`: the thing that is locked, the same for whoever means the same. Throws (locked) if another run, of this process
 * too, has the lock. Of several that ask at once
 * exactly one gets it; that takes the others until they see who, a few hundredths of a second.
 */
export async function acquireRunLock(key: string, request: LockRequest): Promise<RunLock> {
  const claim = new Claim(request.directory ?? openLockDirectory(), key, request);
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const rival = await contend(claim, deadline);
    if (rival === undefined) return claim;
    if (rival.isHeld || performance.now() > deadline) throw locked(request.path, rival);
    await sleep(PAUSE * (1 + Math.random()));
  }
}

/** Throws (locked) if another run has the lock now, as acquireRunLock would. Changes nothing. */
export function requireUnlocked(
  key: string,
  { path, directory = findLockDirectory() }: Pick<LockRequest, 'path' | 'directory'>,
): void {
  if (directory === undefined) return;
  const holder = listClaims(directory, claimPrefix(key), 'leave').find(({ isHeld }) => isHeld);
  if (holder !== undefined) throw locked(path, holder);
}

/** Milliseconds that claims of which none is held yet may stand against each other. */
const PATIENCE = 5000;
const PAUSE = 10;
const OWNER_ONLY = 0o600;

/**
 * Holds the claim and returns nothing, or withdraws it and returns what stands against it. Among
 * claims that are not held the first by name waits for the others to withdraw; it cannot just go
 * ahead, since one of them may have looked before it came.
 */
async function contend(claim: Claim, deadline: number): Promise<Rival | undefined> {
  claim.publish();
  try {
    for (;;) {
      const rivals = claim.rivals();
      const [any] = rivals;
      if (any === undefined) {
        claim.hold();
        return undefined;
      }
      const stronger =
        rivals.find(({ isHeld }) => isHeld) ?? rivals.find(({ name }) => name < claim.name);
      if (stronger !== undefined) return stronger;
      if (performance.now() > deadline) return any;
      await sleep(PAUSE);
    }
  } finally {
    if (!claim.isHeld) claim.release();
  }
}

/** The claim file of one run. */
class Claim implements RunLock {
  readonly name: string;
  readonly #directory: string;
  readonly #prefix: string;
  readonly #command: string;
  readonly #set: string | undefined;
  /** The descriptor of the claim file, while there is one. */
  #fd: number | undefined;
  #isHeld = false;

  constructor(directory: string, key: string, { command, set }: LockRequest) {
    this.#directory = directory;
    this.#command = command;
    this.#set = set;
    this.#prefix = claimPrefix(key);
    this.name = `${this.#prefix}${randomUUID()}${SUFFIX}`;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** The rename shows the file to others only when it is complete. */
  publish(): void {
    const draft = `${this.#path()}.draft`;
    this.#write(draft, () => {
      const fd = openSync(draft, 'wx', OWNER_ONLY);
      this.#fd = fd;
      const owner: Owner = { ...ownFile(fd), command: this.#command, set: this.#set };
      writeFileSync(fd, `${JSON.stringify(owner)}\n`);
      renameSync(draft, this.#path());
    });
  }

  hold(): void {
    this.#append(HELD_LINE);
    this.#isHeld = true;
  }

  noteKernelClaim(): void {
    this.#append(KERNEL_CLAIM_LINE);
  }

  release(): void {
    rmSync(this.#path(), { force: true });
    this.#close();
    this.#isHeld = false;
  }

  /** The claims that stand against it. */
  rivals(): Rival[] {
    return this.#others().filter((other) => !this.#isFellow(other));
  }

  siblings(): Sibling[] {
    return this.#others().flatMap((other) => {
      const { owner, isHeld, hasKernelClaim } = other;
      if (owner === undefined || !isHeld || !this.#isFellow(other)) return [];
      return [{ pid: owner.pid, hasKernelClaim }];
    });
  }

  #isFellow({ owner }: Rival): boolean {
    return this.#set !== undefined && owner?.set === this.#set;
  }

  /** The other claims on the same device. Those of processes that have ended are removed. */
  #others(): Rival[] {
    const all = listClaims(this.#directory, this.#prefix, 'remove');
    return all.filter(({ name }) => name !== this.name);
  }

  #append(line: string): void {
    // From where the last word ended.
    this.#write(this.#path(), () => writeFileSync(this.#fd ?? this.#path(), `${line}\n`));
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #write(path: string, action: () => void): void {
    try {
      action();
    } catch (cause) {
      rmSync(path, { force: true });
      this.#close();
      const reason = messageOf(cause);
      throw new LvmsyncError('usage', `lock file cannot be written: ${reason}`, { cause });
    }
  }

  #path(): string {
    return join(this.#directory, this.name);
  }
}

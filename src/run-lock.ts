/**
 * Keeps two runs of lvmsync off one destination.
 *
 * Every run that wants a destination puts a claim file of its own into the lock directory, and only
 * then looks for those of others. Of two runs the one whose claim came second must see the first, so
 * two can never both find none. No file is ever taken over: each has a name that is used once, so the
 * claim of a process that has ended can be removed by anyone at any time without a race.
 *
 * The receivers of one set of streams want the same destination and write disjoint parts of it: their
 * claims do not stand against each other, but each of them does against everybody else's, so that the
 * destination is free when the last of them has ended.
 */

import { randomUUID } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DeviceIdentity, identityKey } from './device-topology.js';
import { LvmsyncError } from './errors.js';
import { findLockDirectory, openLockDirectory } from './lock-directory.js';
import { hasEnded, ownIdentity, type ProcessIdentity } from './process-identity.js';
import { readText } from './virtual-files.js';

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

export interface Fellow {
  readonly pid: number;
  /** It said so by noteKernelClaim. */
  readonly hasKernelClaim: boolean;
}

export interface RunLock {
  /** The other runs of the set that hold this lock now. */
  fellows(): Fellow[];
  /** Tells the others of the set that this run holds the kernel's claim, so that they can do without. */
  noteKernelClaim(): void;
  /** May be called more than once. A process that ends without it leaves nothing that holds. */
  release(): void;
}

/**
 * Throws (locked) if another run, of this process too, has the lock. Of several that ask at once
 * exactly one gets it; that takes the others until they see who, a few hundredths of a second.
 */
export async function acquireRunLock(
  device: DeviceIdentity,
  request: LockRequest,
): Promise<RunLock> {
  const claim = new Claim(request.directory ?? openLockDirectory(), device, request);
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
  device: DeviceIdentity,
  { path, directory = findLockDirectory() }: Pick<LockRequest, 'path' | 'directory'>,
): void {
  if (directory === undefined) return;
  const holder = listClaims(directory, claimPrefix(device), 'leave').find(({ isHeld }) => isHeld);
  if (holder !== undefined) throw locked(path, holder);
}

/** Milliseconds that claims of which none is held yet may stand against each other. */
const PATIENCE = 5000;
const PAUSE = 10;

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

interface Owner extends ProcessIdentity {
  readonly command: string;
  /** Of a run that receives one of several streams. */
  readonly set?: string | undefined;
}

interface Rival {
  readonly name: string;
  readonly path: string;
  /** Undefined if the file is not one of ours: then it holds until somebody removes it. */
  readonly owner: Owner | undefined;
  readonly isHeld: boolean;
  readonly hasKernelClaim: boolean;
}

const SUFFIX = '.lock';
const HELD_LINE = 'held';
const KERNEL_CLAIM_LINE = 'kernel';
const OWNER_ONLY = 0o600;

/** A claim file: a line of JSON that says whose it is, then a word in a line for each thing it gained. */
class Claim implements RunLock {
  readonly name: string;
  readonly #directory: string;
  readonly #prefix: string;
  readonly #record: string;
  readonly #set: string | undefined;
  #isHeld = false;

  constructor(directory: string, device: DeviceIdentity, { command, set }: LockRequest) {
    this.#directory = directory;
    this.#set = set;
    this.#prefix = claimPrefix(device);
    this.name = `${this.#prefix}${randomUUID()}${SUFFIX}`;
    const owner: Owner = { ...ownIdentity(), command, set };
    this.#record = `${JSON.stringify(owner)}\n`;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** The rename shows the file to others only when it is complete. */
  publish(): void {
    const draft = `${this.#path()}.draft`;
    this.#write(draft, () => {
      writeFileSync(draft, this.#record, { flag: 'wx', mode: OWNER_ONLY });
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
    this.#isHeld = false;
  }

  /** What stands against it. */
  rivals(): Rival[] {
    return this.#others().filter((other) => !this.#isFellow(other));
  }

  fellows(): Fellow[] {
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
    this.#write(this.#path(), () => {
      appendFileSync(this.#path(), `${line}\n`, { mode: OWNER_ONLY });
    });
  }

  #write(path: string, action: () => void): void {
    try {
      action();
    } catch (cause) {
      rmSync(path, { force: true });
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new LvmsyncError('usage', `lock file cannot be written: ${reason}`, { cause });
    }
  }

  #path(): string {
    return join(this.#directory, this.name);
  }
}

/** What the names of all claims on the device begin with. */
function claimPrefix(device: DeviceIdentity): string {
  return `${device.kind}-${identityKey(device).replace(/[:/]/g, '-')}.`;
}

/** What becomes of the claims of processes that have ended; none of them counts. */
type Ended = 'remove' | 'leave';

function listClaims(directory: string, prefix: string, ended: Ended): Rival[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith(prefix) && name.endsWith(SUFFIX))
    .flatMap((name) => readRival(name, join(directory, name), ended));
}

function readRival(name: string, path: string, ended: Ended): Rival[] {
  const text = readText(path);
  if (text === undefined && !existsSync(path)) return [];
  const [record = '', ...gained] = (text ?? '').split('\n');
  const hasKernelClaim = gained.includes(KERNEL_CLAIM_LINE);
  const owner = parseOwner(record);
  if (owner === undefined) return [{ name, path, owner, isHeld: true, hasKernelClaim }];
  if (hasEnded(owner)) {
    if (ended === 'remove') rmSync(path, { force: true });
    return [];
  }
  return [{ name, path, owner, isHeld: gained.includes(HELD_LINE), hasKernelClaim }];
}

function parseOwner(record: string): Owner | undefined {
  let value: unknown;
  try {
    value = JSON.parse(record);
  } catch {
    return undefined;
  }
  return isOwner(value) ? value : undefined;
}

function isOwner(value: unknown): value is Owner {
  if (typeof value !== 'object' || value === null) return false;
  const fields: Partial<Record<keyof Owner, unknown>> = value;
  const { pid, startTime, bootId, pidNamespace, command, set } = fields;
  const texts = [startTime, bootId, pidNamespace, command, set ?? ''];
  return Number.isSafeInteger(pid) && texts.every((text) => typeof text === 'string');
}

function locked(path: string, { owner, path: file }: Rival): LvmsyncError {
  if (owner === undefined) {
    return new LvmsyncError('locked', `${path}: the lock file ${file} cannot be understood`, {
      hint: 'If no lvmsync is running on this destination, remove that file.',
    });
  }
  const who = `process ${owner.pid}: ${owner.command}`;
  return new LvmsyncError('locked', `${path}: another lvmsync is at work on it (${who})`, {
    hint: 'Wait until that run has ended.',
  });
}

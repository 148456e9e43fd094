/**
 * A record on disk of which run holds the metadata snap of a pool, so that one left behind by a run
 * that died, even by a power cut, can be told from somebody else's.
 */

import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../base/errno.js';
import { LvmsyncError } from '../../base/errors.js';
import { replaceAndKeepOpen, syncDirectory } from '../../host/durable-file.js';
import { type FileOwner, ownerHasEnded, ownFile } from '../../host/kernel-lock.js';

/** Survives a reboot, as a held metadata snap does. */
export const HELD_DIRECTORY = '/var/lib/lvmsync';

export interface HeldRecord {
  readonly owner: FileOwner;
  /** Metadata block of the held root; absent: about to be reserved. */
  readonly heldRoot?: number | undefined;
  /** If about to be reserved: the pool's transaction, in which none was held. */
  readonly transactionId?: number | undefined;
}

/** As it was found. */
export interface FoundRecord extends HeldRecord {
  /** Whether the run whose record it is has surely ended. */
  readonly hasEnded: boolean;
}

export interface HeldSnap {
  readonly heldRoot: number;
  /** The state of the pool now. */
  readonly transactionId: number;
}

/** The record of the pool with this uuid; its directory is made if need be. Throws (pool). */
export function openHeldRecord(poolUuid: string, directory = HELD_DIRECTORY): HeldRecordFile {
  const path = join(directory, `${poolUuid.replace(/[^\w-]/g, '_')}.held.json`);
  attempt(path, () => mkdirSync(directory, { recursive: true, mode: 0o700 }));
  return new HeldRecordFile(path);
}

/** The record of one pool. Only who holds the lock of the pool may change it. */
export class HeldRecordFile {
  readonly path: string;
  /** The descriptor of the record that this process wrote last: its lock shows that the process lives. */
  #fd: number | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** The record of this process. Durable when it returns. Throws (pool). */
  write(state: Omit<HeldRecord, 'owner'>): void {
    const compose = (fd: number): string => JSON.stringify({ owner: ownFile(fd), ...state });
    attempt(this.path, () => {
      const fd = replaceAndKeepOpen(this.path, compose);
      this.#close();
      this.#fd = fd;
    });
  }

  /** Throws (pool). */
  remove(): void {
    attempt(this.path, () => {
      rmSync(this.path, { force: true });
      syncDirectory(dirname(this.path));
      this.#close();
    });
  }

  /** Undefined if there is none, or one that cannot be understood. */
  read(): FoundRecord | undefined {
    let fd: number | undefined;
    try {
      fd = openSync(this.path, 'r');
      const value: unknown = JSON.parse(readFileSync(fd, 'utf8'));
      return isRecord(value) ? { ...value, hasEnded: ownerHasEnded(value.owner, fd) } : undefined;
    } catch {
      return undefined;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/**
 * Whether what a pool holds is what the record's run left behind when it died. One that had only
 * announced itself left it in the transaction in which it saw that none was held; in any later one it
 * may as well be somebody else's.
 */
export function isLeftover(record: FoundRecord | undefined, held: HeldSnap): boolean {
  if (record?.hasEnded !== true) return false;
  if (record.heldRoot !== undefined) return record.heldRoot === held.heldRoot;
  return record.transactionId === held.transactionId;
}

/** Whether the record's run died between announcing itself and knowing what it held. */
export function wasAboutToReserve(record: FoundRecord | undefined): boolean {
  return record?.hasEnded === true && record.heldRoot === undefined;
}

function isRecord(value: unknown): value is HeldRecord {
  if (typeof value !== 'object' || value === null || !('owner' in value)) return false;
  const { owner } = value;
  if (typeof owner !== 'object' || owner === null) return false;
  return (
    'pid' in owner &&
    typeof owner.pid === 'number' &&
    'startTime' in owner &&
    typeof owner.startTime === 'string' &&
    'bootId' in owner &&
    typeof owner.bootId === 'string' &&
    'pidNamespace' in owner &&
    typeof owner.pidNamespace === 'string'
  );
}

/** A full or read-only file system is nothing that this program did wrong. */
function attempt(path: string, action: () => void): void {
  try {
    action();
  } catch (cause) {
    const reason = messageOf(cause);
    throw new LvmsyncError(
      'pool',
      `${path}: the record of the held metadata snap cannot be written (${reason})`,
      { cause },
    );
  }
}

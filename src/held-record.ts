/**
 * A record on disk of which run holds the metadata snap of a pool, so that one left behind by a run
 * that died, even by a power cut, can be told from somebody else's.
 */

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceDurably, syncDirectory } from './durable-file.js';
import { LvmsyncError } from './errors.js';
import { hasEnded, ownIdentity, type ProcessIdentity } from './process-identity.js';

/** Survives a reboot, as a held metadata snap does. */
export const HELD_DIRECTORY = '/var/lib/lvmsync';

export interface HeldRecord {
  readonly owner: ProcessIdentity;
  /** Metadata block of the held root; absent: about to be reserved. */
  readonly heldRoot?: number | undefined;
  /** If about to be reserved: the pool's transaction, in which none was held. */
  readonly transactionId?: number | undefined;
}

export interface HeldSnap {
  readonly heldRoot: number;
  /** Of the pool now. */
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

  constructor(path: string) {
    this.path = path;
  }

  /** Of this process. Durable when it returns. Throws (pool). */
  write(state: Omit<HeldRecord, 'owner'>): void {
    const record = JSON.stringify({ owner: ownIdentity(), ...state });
    attempt(this.path, () => replaceDurably(this.path, record));
  }

  /** Throws (pool). */
  remove(): void {
    attempt(this.path, () => {
      rmSync(this.path, { force: true });
      syncDirectory(dirname(this.path));
    });
  }

  /** Undefined if there is none, or one that cannot be understood. */
  read(): HeldRecord | undefined {
    try {
      const value: unknown = JSON.parse(readFileSync(this.path, 'utf8'));
      return isRecord(value) ? value : undefined;
    } catch {
      return undefined;
    }
  }
}

/**
 * Whether what a pool holds is what the record's run left behind when it died. One that had only
 * announced itself left it in the transaction in which it saw that none was held; in any later one it
 * may as well be somebody else's.
 */
export function isLeftover(record: HeldRecord | undefined, held: HeldSnap): boolean {
  if (record === undefined || !hasEnded(record.owner)) return false;
  if (record.heldRoot !== undefined) return record.heldRoot === held.heldRoot;
  return record.transactionId === held.transactionId;
}

/** Whether the record's run died between announcing itself and knowing what it held. */
export function wasAboutToReserve(record: HeldRecord | undefined): boolean {
  return record !== undefined && record.heldRoot === undefined && hasEnded(record.owner);
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
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LvmsyncError(
      'pool',
      `${path}: the record of who holds the metadata snap cannot be kept (${reason})`,
      { cause },
    );
  }
}

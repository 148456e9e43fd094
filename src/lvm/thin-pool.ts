/** A thin pool as the kernel has it: its devices, its state, and the messages that take and free its metadata snap. */

import { LvmsyncError } from '../base/errors.js';
import type { RunCommand } from '../host/subprocess.js';
import { formatDeviceName } from './device-name.js';
import { infoOf, statusOf } from './dmsetup.js';
import { SECTOR_SIZE } from './dmsetup-lines.js';
import type { ThinPoolStatus } from './dmsetup-status.js';
import { parseTable } from './dmsetup-table.js';
import { askHost } from './host-tools.js';
import { activationHint } from './unfit-volume.js';

export interface ThinPool {
  /** VG/POOL, as LVM and people name it. */
  readonly name: string;
  /** The device-mapper device that takes messages: its name when it was found, and what does not change. */
  readonly dmName: string;
  readonly dmUuid: string;
  /** Stays the same when the pool is renamed or activated in another way. */
  readonly uuid: string;
  /** "major:minor" */
  readonly number: string;
  readonly metadataPath: string;
  /** Bytes. */
  readonly dataBlockSize: number;
}

/** The names that it takes to talk to a pool, and about it. */
export type MessageTarget = Pick<ThinPool, 'name' | 'dmName' | 'dmUuid'>;

const POOL = { code: 'pool' } as const;
/** Commands that a metadata snap depends on must finish, whatever is typed during the run. */
const SHIELDED = { ...POOL, shielded: true } as const;

/** Throws (pool) if the pool is not active here. */
export async function findThinPool(
  { vgName, poolName }: { readonly vgName: string; readonly poolName: string },
  run: RunCommand = askHost,
): Promise<ThinPool> {
  const name = `${vgName}/${poolName}`;
  // While thin volumes are active LVM keeps the pool's target in a layer of its own.
  const layered = formatDeviceName({ vgName, lvName: poolName, layer: 'tpool' });
  const plain = formatDeviceName({ vgName, lvName: poolName });
  const { stdout } = await run(['dmsetup', 'table', '--target', 'thin-pool'], POOL);
  for (const dmName of [layered, plain]) {
    // Other pools of this host may have names that a table does not distinguish.
    const lines = stdout.split('\n').filter((line) => line.startsWith(`${dmName}: `));
    const [target] = parseTable(lines.join('\n'));
    if (target?.type !== 'thin-pool') continue;
    const info = await readInfo(dmName, run);
    return {
      name,
      dmName,
      ...info,
      metadataPath: `/dev/mapper/${formatDeviceName({ vgName, lvName: `${poolName}_tmeta` })}`,
      dataBlockSize: target.blockSizeSectors * SECTOR_SIZE,
    };
  }
  throw new LvmsyncError('pool', `${name}: the thin pool is not active`, {
    hint: activationHint(name),
  });
}

async function readInfo(
  dmName: string,
  run: RunCommand,
): Promise<Pick<ThinPool, 'uuid' | 'dmUuid' | 'number'>> {
  const info = (await infoOf([dmName], run, POOL)).get(dmName);
  if (info === undefined)
    throw new LvmsyncError('pool', `${dmName}: dmsetup gives no information about it`);
  // "LVM-" and two uuids of 32 characters; the layer comes after them.
  return { uuid: info.uuid.slice(0, 68), dmUuid: info.uuid, number: info.number };
}

/** Throws (pool) for a pool that has failed. */
export async function readPoolStatus(
  pool: MessageTarget,
  run: RunCommand = askHost,
): Promise<ThinPoolStatus> {
  const [status] = await statusOf(pool.dmUuid, run, SHIELDED);
  if (status?.type === 'thin-pool' && !('fault' in status)) return status;
  throw failedPool(pool.name);
}

/** The refusal of a pool, VG/POOL, whose metadata the kernel could not read or write. */
export function failedPool(name: string): LvmsyncError {
  return new LvmsyncError('pool', `${name}: the thin pool has failed`, {
    state: 'The pool was left unchanged.',
    hint: `Repair it first: lvconvert --repair ${name}`,
  });
}

/** Throws (pool) unless the pool can take a metadata snap; it has been sent no message then. */
export function requireUsable(pool: ThinPool, status: ThinPoolStatus): void {
  const fault = findFault(status);
  if (fault === undefined) return;
  throw new LvmsyncError('pool', `${pool.name}: the thin pool ${fault}`, {
    state: 'The pool was left unchanged.',
    hint: `See: lvs -a -o+lv_health_status,lv_check_needed ${pool.name}`,
  });
}

function findFault(status: ThinPoolStatus): string | undefined {
  if (status.needsCheck) return 'needs a check of its metadata (needs_check)';
  if (status.mode === 'ro') {
    // Out of metadata space the kernel calls it read-only, too.
    const isFull = status.usedMetadataBlocks === status.totalMetadataBlocks;
    return isFull ? 'is out of metadata space' : 'is read-only';
  }
  // One out of data space takes a metadata snap (drivers/md/dm-thin.c, pool_message), and is one to move away from.
  return undefined;
}

export type PoolMessage = 'reserve_metadata_snap' | 'release_metadata_snap';

export async function sendPoolMessage(
  pool: Pick<ThinPool, 'dmUuid'>,
  message: PoolMessage,
  run: RunCommand = askHost,
): Promise<void> {
  await run(['dmsetup', 'message', '-u', pool.dmUuid, '0', message], SHIELDED);
}

/** The command that frees a metadata snap that nobody needs any more. */
export function releaseCommand({ dmName }: Pick<ThinPool, 'dmName'>): string {
  return `dmsetup message ${dmName} 0 release_metadata_snap`;
}

/** The behaviour of a destination where nothing was written yet, and how space can be given back there. */

import type { FileDevice, PunchRules } from '../device/block-device.js';
import type { PoolStretch } from '../host/native.js';
import { type ReadTable, readMappedStatus, readMappedTable } from './dmsetup.js';
import { SECTOR_SIZE } from './dmsetup-lines.js';
import { parseStatus } from './dmsetup-status.js';
import { parseTable } from './dmsetup-table.js';
import { findUnzeroed, refuseHidden } from './unzeroed-blocks.js';

export interface WriteRules {
  readonly punch: PunchRules;
  /** In a thin pool that does not zero new blocks. */
  readonly unzeroed: readonly PoolStretch[];
  /** Bytes: from here on it reads as zeros before the run, since there is nothing. */
  readonly dataEnd: number;
  /** Bytes that may hold anything else, at most. */
  readonly mostData: number;
}

/** For a device that is neither a thin volume nor on one. */
export const PLAIN_RULES: WriteRules = {
  punch: { discard: false, granularity: 1 },
  unzeroed: [],
  dataEnd: Infinity,
  mostData: Infinity,
};

/**
 * For a destination that nothing was written to yet, and that has not been made larger. Throws (destinationUnfit) where
 * it cannot be told which blocks of a thin pool are new.
 */
export async function findWriteRules(
  device: FileDevice,
  readTable: ReadTable = readMappedTable,
  readStatus: ReadTable = readMappedStatus,
): Promise<WriteRules> {
  const { blockDevice, alignment, major, minor } = device.info;
  if (!blockDevice) {
    const punch = { discard: false, granularity: alignment };
    return { punch, unzeroed: [], dataEnd: device.size, mostData: device.size };
  }
  const tables = new Map<string, Promise<string | undefined>>();
  const once: ReadTable = (number) => {
    const table = tables.get(number) ?? readTable(number);
    tables.set(number, table);
    return table;
  };
  const punch = await findPunchRules(device, once);
  const unzeroed = await findUnzeroed(device, { readTable: once });
  refuseHidden(unzeroed, device.path);
  const mapped = punch.discard ? await readStatus(`${major}:${minor}`) : undefined;
  return { punch, unzeroed: unzeroed.stretches, ...dataOf(mapped) };
}

/** For a thin volume without external origin: unmapped blocks read as zeros. */
function dataOf(status: string | undefined): Pick<WriteRules, 'dataEnd' | 'mostData'> {
  const [target] = status === undefined ? [] : parseStatus(status);
  if (target?.type !== 'thin' || 'fault' in target) {
    return { dataEnd: Infinity, mostData: Infinity };
  }
  const { mappedSectors, highestMappedSector = -1 } = target;
  return {
    dataEnd: (highestMappedSector + 1) * SECTOR_SIZE,
    mostData: mappedSectors * SECTOR_SIZE,
  };
}

/**
 * A discard promises nothing about what is read later, except on a thin volume without external
 * origin, and there for whole blocks of the pool. Elsewhere fallocate is asked, which refuses if the
 * device cannot promise zeros.
 */
async function findPunchRules({ info }: FileDevice, readTable: ReadTable): Promise<PunchRules> {
  const holes = { discard: false, granularity: info.alignment };
  const table = await readTable(`${info.major}:${info.minor}`);
  const [target, ...more] = table === undefined ? [] : parseTable(table);
  if (target?.type !== 'thin' || more.length > 0 || target.externalOrigin !== undefined)
    return holes;
  const poolTable = await readTable(target.pool);
  const [pool] = poolTable === undefined ? [] : parseTable(poolTable);
  if (pool?.type !== 'thin-pool') return holes;
  return { discard: true, granularity: pool.blockSizeSectors * SECTOR_SIZE };
}

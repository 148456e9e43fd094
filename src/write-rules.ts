/** What a destination does where nothing was written yet, and how space can be given back at it. */

import type { FileDevice, PunchRules } from './block-device.js';
import { parseTable } from './device-table.js';
import { SECTOR_SIZE } from './dmsetup-lines.js';
import { readMappedTable } from './mapped-table.js';
import type { PoolStretch } from './native.js';
import { findUnzeroed } from './unzeroed-blocks.js';

export interface WriteRules {
  readonly punch: PunchRules;
  /** In a thin pool that does not zero new blocks. */
  readonly unzeroed: readonly PoolStretch[];
}

/** Of what is neither a thin volume nor on one. */
export const PLAIN_RULES: WriteRules = { punch: { discard: false, granularity: 1 }, unzeroed: [] };

export type ReadTable = (device: string) => Promise<string | undefined>;

export async function findWriteRules(
  device: FileDevice,
  readTable: ReadTable = readMappedTable,
): Promise<WriteRules> {
  const { blockDevice, alignment } = device.info;
  if (!blockDevice) return { punch: { discard: false, granularity: alignment }, unzeroed: [] };
  const tables = new Map<string, Promise<string | undefined>>();
  const once: ReadTable = (number) => {
    const table = tables.get(number) ?? readTable(number);
    tables.set(number, table);
    return table;
  };
  return {
    punch: await findPunchRules(device, once),
    unzeroed: await findUnzeroed(device, once),
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

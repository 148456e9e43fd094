/** How space can be given back at a destination so that it surely reads as zeros afterwards. */

import type { FileDevice, PunchRules } from './block-device.js';
import { parseTable } from './device-table.js';
import { SECTOR_SIZE } from './dmsetup-lines.js';
import { readMappedTable } from './mapped-table.js';

/**
 * A discard promises nothing about what is read later, except on a thin volume without external
 * origin, and there for whole blocks of the pool. Elsewhere fallocate is asked, which refuses if the
 * device cannot promise zeros.
 */
export async function findPunchRules(
  device: FileDevice,
  readTable: (device: string) => Promise<string | undefined> = readMappedTable,
): Promise<PunchRules> {
  const { info } = device;
  const holes = { discard: false, granularity: info.alignment };
  if (!info.blockDevice) return holes;
  const table = await readTable(`${info.major}:${info.minor}`);
  const [target, ...more] = table === undefined ? [] : parseTable(table);
  if (target?.type !== 'thin' || more.length > 0 || target.externalOrigin !== undefined)
    return holes;
  const poolTable = await readTable(target.pool);
  const [pool] = poolTable === undefined ? [] : parseTable(poolTable);
  if (pool?.type !== 'thin-pool') return holes;
  return { discard: true, granularity: pool.blockSizeSectors * SECTOR_SIZE };
}

/** The room in a volume group that LVM can give to a new volume. */

import { LvmsyncError } from '../base/errors.js';
import { isObject, parseObject } from '../base/json-object.js';
import type { RunCommand } from '../host/subprocess.js';
import { askHost } from './host-tools.js';

export interface FreeRoom {
  readonly vgName: string;
  /** Bytes. */
  readonly extentSize: number;
  /** Bytes: whole extents, on the devices that are there and may be used. */
  readonly free: number;
}

const FIELDS = 'vg_extent_size,pv_free,pv_allocatable,pv_missing';

/** Throws (sourceUnfit). */
export async function readFreeRoom(vgName: string, run: RunCommand = askHost): Promise<FreeRoom> {
  const format = ['--reportformat', 'json', '--units', 'b', '--nosuffix', '--binary'];
  const argv = ['vgs', ...format, '-o', FIELDS, '--', vgName] as const;
  const rows = rowsIn((await run(argv, { code: 'sourceUnfit' })).stdout);
  const extentSize = countIn(rows[0], 'vg_extent_size');
  if (extentSize === 0) throw noReport('vg_extent_size');
  // A row for each device.
  const usable = rows.filter(
    (row) => countIn(row, 'pv_allocatable') === 1 && countIn(row, 'pv_missing') === 0,
  );
  const free = usable.map((row) => countIn(row, 'pv_free')).reduce((sum, one) => sum + one, 0);
  return { vgName, extentSize, free };
}

function rowsIn(json: string): readonly unknown[] {
  const reports = parseObject(json)?.report;
  const [report] = Array.isArray(reports) ? reports : [];
  const rows = isObject(report) ? report.vg : undefined;
  return Array.isArray(rows) ? rows : [];
}

function countIn(row: unknown, field: string): number {
  const value = isObject(row) ? row[field] : undefined;
  // A flag that is not set is empty.
  if (value === '') return 0;
  if (typeof value === 'string' && /^\d+$/.test(value)) return Number(value);
  throw noReport(field);
}

function noReport(field: string): LvmsyncError {
  return new LvmsyncError('sourceUnfit', `vgs: its report has no ${field}`);
}

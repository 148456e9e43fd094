/**
 * The common part of the lines of `dmsetup table` and `dmsetup status`: a target at its place in a
 * device, and words for devices and counts. Sizes are in 512-byte sectors, as the kernel prints them.
 */

import { LvmsyncError } from '../base/errors.js';

export const SECTOR_SIZE = 512;

/** Where a target sits in its device; `name` is there when several devices were asked for. */
export interface TargetPlace {
  readonly name: string | undefined;
  readonly start: number;
  readonly length: number;
}

/** "major:minor" */
export type DeviceNumber = string;

const TARGET_LINE = /^(?:([^ ]+): )?(\d+) (\d+) ([^ ]+) ?(.*)$/;

/** Undefined: fields of another form. */
export type ParseTarget<T> = (target: string, fields: readonly string[]) => T | undefined;

/** One target for each line that is not blank. Throws LvmsyncError 'sourceUnfit' on a line of another form. */
export function parseLines<T>(text: string, parseTarget: ParseTarget<T>): (TargetPlace & T)[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const [, name, start = '', length = '', target = '', rest = ''] = TARGET_LINE.exec(line) ?? [];
    const fields = rest.split(' ').filter((field) => field !== '');
    const parsed = target === '' ? undefined : parseTarget(target, fields);
    if (parsed === undefined) throw unknownLine(line);
    return { name, start: Number(start), length: Number(length), ...parsed };
  });
}

export function unknownLine(line: string): LvmsyncError {
  return new LvmsyncError('sourceUnfit', `dmsetup: a line of unknown form (${line.trim()})`);
}

export function isDevice(text: string): boolean {
  return /^\d+:\d+$/.test(text);
}

/** A decimal count that a number holds exactly. */
export function isCount(text: string): boolean {
  return /^\d+$/.test(text) && Number.isSafeInteger(Number(text));
}

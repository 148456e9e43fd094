/**
 * The mapped devices and what they are made of: the lines of `dmsetup table` and `dmsetup info`. Text
 * in, values out. Line formats: Linux 6.1, drivers/md/dm-snap.c and dm-thin.c.
 */

import {
  type DeviceNumber,
  isCount,
  isDevice,
  parseLines,
  type TargetPlace,
  unknownLine,
} from './dmsetup-lines.js';

export type TableTarget =
  | {
      readonly type: 'snapshot' | 'snapshot-merge';
      readonly origin: DeviceNumber;
      readonly cow: DeviceNumber;
      /** "P" persistent, "PO" persistent with overflow support, "N" transient. */
      readonly store: string;
      readonly chunkSizeSectors: number;
    }
  | { readonly type: 'snapshot-origin'; readonly device: DeviceNumber }
  | {
      readonly type: 'thin';
      readonly pool: DeviceNumber;
      readonly deviceId: number;
      readonly externalOrigin: DeviceNumber | undefined;
    }
  /** Its pool has failed: the kernel does not say then what the volume is made of. */
  | { readonly type: 'failed-thin' }
  | {
      readonly type: 'thin-pool';
      readonly metadata: DeviceNumber;
      readonly data: DeviceNumber;
      readonly blockSizeSectors: number;
      /** Else they hold what those places of the pool held before (skip_block_zeroing). */
      readonly zeroesNewBlocks: boolean;
    }
  | { readonly type: 'linear'; readonly device: DeviceNumber; readonly offsetSectors: number }
  | { readonly type: 'error' }
  | { readonly type: 'other'; readonly target: string };

/** Targets of all devices in `text`, in its order. Throws LvmsyncError on a line of another form. */
export function parseTable(text: string): readonly (TargetPlace & TableTarget)[] {
  return parseLines(text, tableTarget);
}

function tableTarget(target: string, fields: readonly string[]): TableTarget | undefined {
  const [first = '', second = '', third = '', fourth = ''] = fields;
  switch (target) {
    case 'snapshot':
    case 'snapshot-merge':
      if (!isDevice(first) || !isDevice(second) || third === '' || !isCount(fourth)) break;
      return {
        type: target,
        origin: first,
        cow: second,
        store: third,
        chunkSizeSectors: Number(fourth),
      };
    case 'snapshot-origin':
      return isDevice(first) ? { type: target, device: first } : undefined;
    case 'thin':
      if (first === 'Fail') return { type: 'failed-thin' };
      if (!isDevice(first) || !isCount(second)) break;
      return {
        type: target,
        pool: first,
        deviceId: Number(second),
        externalOrigin: isDevice(third) ? third : undefined,
      };
    case 'thin-pool':
      if (!isDevice(first) || !isDevice(second) || !isCount(third)) break;
      return {
        type: target,
        metadata: first,
        data: second,
        blockSizeSectors: Number(third),
        // Behind the low water mark and the number of features.
        zeroesNewBlocks: !fields.slice(5).includes('skip_block_zeroing'),
      };
    case 'linear':
      if (!isDevice(first) || !isCount(second)) break;
      return { type: target, device: first, offsetSectors: Number(second) };
    case 'error':
      return { type: target };
    default:
      return { type: 'other', target };
  }
  return undefined;
}

export interface DeviceInfo {
  readonly number: DeviceNumber;
  /** Empty if the device has none. */
  readonly uuid: string;
}

/** Reads `dmsetup info -c --noheadings --separator ' ' -o name,major,minor,uuid`; keys are the names. */
export function parseInfo(text: string): ReadonlyMap<string, DeviceInfo> {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return new Map(
    lines.map((line) => {
      const [name = '', major = '', minor = '', uuid = ''] = line.trim().split(' ');
      if (!isCount(major) || !isCount(minor)) throw unknownLine(line);
      return [name, { number: `${major}:${minor}`, uuid }];
    }),
  );
}

/**
 * The kernel's own words about mapped devices: names as LVM makes them, and the lines of `dmsetup
 * table` and `dmsetup status`. Text in, values out. Sizes are in 512-byte sectors, as the kernel
 * prints them. Line formats: Linux 6.1, drivers/md/dm-snap.c and dm-thin.c.
 */

import { LvmsyncError } from './errors.js';

export const SECTOR_SIZE = 512;

export interface VolumeName {
  readonly vgName: string;
  readonly lvName: string;
  /** An internal device of the volume: "cow", "real", "tpool"; absent for the volume itself. */
  readonly layer?: string | undefined;
}

/** The device-mapper name LVM gives a volume: hyphens inside a part are doubled, parts joined by one. */
export function formatDeviceName({ vgName, lvName, layer }: VolumeName): string {
  const parts = layer === undefined ? [vgName, lvName] : [vgName, lvName, layer];
  return parts.map((part) => part.replaceAll('-', '--')).join('-');
}

/**
 * The inverse. Pairs of hyphens are taken from the left, as LVM takes them; that is exact because no
 * part begins with a hyphen. Undefined: not a name that LVM makes.
 */
export function parseDeviceName(name: string): VolumeName | undefined {
  const parts = name
    .replaceAll('--', '/')
    .split('-')
    .map((part) => part.replaceAll('/', '-'));
  if (parts.length > 3 || name.includes('/') || parts.some((part) => part === '')) return undefined;
  const [vgName, lvName, layer] = parts;
  if (vgName === undefined || lvName === undefined) return undefined;
  return { vgName, lvName, layer };
}

export interface LvmDeviceUuid {
  /** Without hyphens, 32 characters, as the kernel holds them. */
  readonly vgUuid: string;
  readonly lvUuid: string;
  readonly layer?: string | undefined;
}

/** The parts of a device-mapper uuid that LVM made; undefined: another program's device. */
export function parseDeviceUuid(uuid: string): LvmDeviceUuid | undefined {
  const match = /^LVM-([\w!#]{32})([\w!#]{32})(?:-(\w+))?$/.exec(uuid);
  const [, vgUuid, lvUuid, layer] = match ?? [];
  return vgUuid === undefined || lvUuid === undefined ? undefined : { vgUuid, lvUuid, layer };
}

/** Where a target sits in its device; `name` is there when several devices were asked for. */
export interface TargetPlace {
  readonly name: string | undefined;
  readonly start: number;
  readonly length: number;
}

/** "major:minor" */
export type DeviceNumber = string;

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
  | {
      readonly type: 'thin-pool';
      readonly metadata: DeviceNumber;
      readonly data: DeviceNumber;
      readonly blockSizeSectors: number;
    }
  | { readonly type: 'linear'; readonly device: DeviceNumber; readonly offsetSectors: number }
  | { readonly type: 'error' }
  | { readonly type: 'other'; readonly target: string };

export interface SnapshotUsage {
  readonly allocatedSectors: number;
  readonly totalSectors: number;
  readonly metadataSectors: number;
}

const SNAPSHOT_FAULTS = ['Invalid', 'Merge failed', 'Overflow', 'Unknown'] as const;
export type SnapshotFault = (typeof SNAPSHOT_FAULTS)[number];

export type StatusTarget =
  | { readonly type: 'snapshot' | 'snapshot-merge'; readonly usage: SnapshotUsage }
  | { readonly type: 'snapshot' | 'snapshot-merge'; readonly fault: SnapshotFault }
  | {
      readonly type: 'thin';
      readonly mappedSectors: number;
      readonly highestMappedSector: number | undefined;
    }
  | { readonly type: 'thin' | 'thin-pool'; readonly fault: 'Fail' | 'Error' }
  | ThinPoolStatus
  | { readonly type: 'snapshot-origin' | 'linear' | 'error' }
  | { readonly type: 'other'; readonly target: string };

export interface ThinPoolStatus {
  readonly type: 'thin-pool';
  readonly transactionId: number;
  /** In metadata blocks (4 KiB). */
  readonly usedMetadataBlocks: number;
  readonly totalMetadataBlocks: number;
  /** In data blocks of the pool. */
  readonly usedDataBlocks: number;
  readonly totalDataBlocks: number;
  /** Metadata block of the held root; undefined: no metadata snap is held. */
  readonly heldRoot: number | undefined;
  readonly mode: 'rw' | 'ro' | 'out_of_data_space';
  readonly discard: string;
  readonly noSpace: 'error_if_no_space' | 'queue_if_no_space';
  readonly needsCheck: boolean;
  readonly lowWaterBlocks: number | undefined;
}

/** Targets of all devices in `text`, in its order. Throws LvmsyncError on a line of another form. */
export function parseTable(text: string): readonly (TargetPlace & TableTarget)[] {
  return parseLines(text, tableTarget);
}

export function parseStatus(text: string): readonly (TargetPlace & StatusTarget)[] {
  return parseLines(text, statusTarget);
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

const TARGET_LINE = /^(?:([^ ]+): )?(\d+) (\d+) ([^ ]+) ?(.*)$/;

type ParseTarget<T> = (target: string, fields: readonly string[]) => T | undefined;

function parseLines<T>(text: string, parseTarget: ParseTarget<T>): (TargetPlace & T)[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const [, name, start = '', length = '', target = '', rest = ''] = TARGET_LINE.exec(line) ?? [];
    const fields = rest.split(' ').filter((field) => field !== '');
    const parsed = target === '' ? undefined : parseTarget(target, fields);
    if (parsed === undefined) throw unknownLine(line);
    return { name, start: Number(start), length: Number(length), ...parsed };
  });
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
      if (!isDevice(first) || !isCount(second)) break;
      return {
        type: target,
        pool: first,
        deviceId: Number(second),
        externalOrigin: isDevice(third) ? third : undefined,
      };
    case 'thin-pool':
      if (!isDevice(first) || !isDevice(second) || !isCount(third)) break;
      return { type: target, metadata: first, data: second, blockSizeSectors: Number(third) };
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

function statusTarget(target: string, fields: readonly string[]): StatusTarget | undefined {
  switch (target) {
    case 'snapshot':
    case 'snapshot-merge':
      return snapshotStatus(target, fields);
    case 'thin':
      return thinStatus(fields);
    case 'thin-pool':
      return thinPoolStatus(fields);
    case 'snapshot-origin':
    case 'linear':
    case 'error':
      return { type: target };
    default:
      return { type: 'other', target };
  }
}

function snapshotStatus(
  type: 'snapshot' | 'snapshot-merge',
  fields: readonly string[],
): StatusTarget | undefined {
  const fault = SNAPSHOT_FAULTS.find((known) => known === fields.join(' '));
  if (fault !== undefined) return { type, fault };
  const [usage = '', metadata = ''] = fields;
  const data = parseShare(usage);
  if (data === undefined || !isCount(metadata)) return undefined;
  const [allocatedSectors, totalSectors] = data;
  return { type, usage: { allocatedSectors, totalSectors, metadataSectors: Number(metadata) } };
}

function thinStatus([mapped = '', highest = '']: readonly string[]): StatusTarget | undefined {
  if (mapped === 'Fail' || mapped === 'Error') return { type: 'thin', fault: mapped };
  if (!isCount(mapped) || !(isCount(highest) || highest === '-')) return undefined;
  return {
    type: 'thin',
    mappedSectors: Number(mapped),
    highestMappedSector: highest === '-' ? undefined : Number(highest),
  };
}

function thinPoolStatus(fields: readonly string[]): StatusTarget | undefined {
  const [transaction = '', metadata = '', data = '', held = '', mode = ''] = fields;
  if (transaction === 'Fail' || transaction === 'Error') {
    return { type: 'thin-pool', fault: transaction };
  }
  const [discard = '', noSpace, needsCheck, lowWater = ''] = fields.slice(5);
  const metadataBlocks = parseShare(metadata);
  const dataBlocks = parseShare(data);
  if (metadataBlocks === undefined || dataBlocks === undefined) return undefined;
  if (!isCount(transaction) || !(isCount(held) || held === '-')) return undefined;
  if (mode !== 'rw' && mode !== 'ro' && mode !== 'out_of_data_space') return undefined;
  if (noSpace !== 'error_if_no_space' && noSpace !== 'queue_if_no_space') return undefined;
  return {
    type: 'thin-pool',
    transactionId: Number(transaction),
    usedMetadataBlocks: metadataBlocks[0],
    totalMetadataBlocks: metadataBlocks[1],
    usedDataBlocks: dataBlocks[0],
    totalDataBlocks: dataBlocks[1],
    heldRoot: held === '-' ? undefined : Number(held),
    mode,
    discard,
    noSpace,
    needsCheck: needsCheck === 'needs_check',
    lowWaterBlocks: isCount(lowWater) ? Number(lowWater) : undefined,
  };
}

function unknownLine(line: string): LvmsyncError {
  return new LvmsyncError('sourceUnfit', `dmsetup: a line of unknown form (${line.trim()})`);
}

/** "used/total" */
function parseShare(text: string): readonly [number, number] | undefined {
  const [used = '', total = '', ...rest] = text.split('/');
  if (!isCount(used) || !isCount(total) || rest.length > 0) return undefined;
  return [Number(used), Number(total)];
}

function isDevice(text: string): boolean {
  return /^\d+:\d+$/.test(text);
}

/** A decimal count that a number holds exactly. */
function isCount(text: string): boolean {
  return /^\d+$/.test(text) && Number.isSafeInteger(Number(text));
}

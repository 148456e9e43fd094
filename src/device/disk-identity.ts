/**
 * An identity of a block device that outlives renaming and reboots. Read from sysfs and from partition
 * tables, never from links that udev's rules make. Small, synchronous reads.
 */

import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readLine } from '../host/virtual-files.js';
import { partitionUuid } from './partition-table.js';

const KINDS = /^(?:partition|file|md|nbd|wwid|serial|cid|usb|sha256):/;

/** Whether programs that knew device-mapper's only wrote none for it. */
export function isNewerKind(identity: string): boolean {
  return KINDS.test(identity);
}

/** Bytes. An attribute of a stream holds 1024 of them, of which a longer one would lose its end. */
const LONGEST = 512;

/**
 * The identity of the block device `major:minor`; undefined if it has none. `root` is put before `/sys` and `/dev`.
 * The word before the first colon says what it is made of; device-mapper's has none, as programs wrote it
 * that knew no other.
 */
export function diskIdentity(device: string, root = ''): string | undefined {
  const folder = resolveLink(join(root, '/sys/dev/block', device));
  if (folder === undefined) return undefined;
  const identity = identityIn(folder, root);
  if (identity === undefined || Buffer.byteLength(identity) <= LONGEST) return identity;
  return `sha256:${createHash('sha256').update(identity).digest('hex')}`;
}

function identityIn(folder: string, root: string): string | undefined {
  const mapped = read(folder, 'dm/uuid');
  if (mapped !== undefined) return mapped;
  if (read(folder, 'partition') !== undefined) return partition(folder, root);
  return loop(folder) ?? array(folder) ?? network(folder) ?? hardware(folder);
}

/**
 * The uuid in the partition table, and the disk's own identity: a disk that was copied as a whole has the same
 * uuids. Where one of them is missing, the other, with the place on the disk.
 */
function partition(folder: string, root: string): string | undefined {
  const disk = dirname(folder);
  const whole = identityIn(disk, root);
  const uuid = read(folder, 'uevent')?.match(/^PARTUUID=(.+)$/m)?.[1] ?? tableUuid(folder, root);
  const place = `sector ${read(folder, 'start')}`;
  if (whole === undefined && uuid === undefined) return undefined;
  const own = uuid === undefined ? place : MBR_NAME.test(uuid) ? `${uuid} ${place}` : uuid;
  return `partition:${own}${whole === undefined ? '' : ` of ${whole}`}`;
}

/** The disk's signature and a number, which another partition may be given: no identity without its place. */
const MBR_NAME = /^[0-9a-f]{8}-[0-9a-f]{2}$/i;

function tableUuid(folder: string, root: string): string | undefined {
  const disk = dirname(folder);
  const [number, start, device] = [
    read(folder, 'partition'),
    read(folder, 'start'),
    read(disk, 'dev'),
  ];
  if (device === undefined) return undefined;
  const path = join(root, '/dev', basename(disk).replaceAll('!', '/'));
  return partitionUuid(path, { device, number: Number(number), startSector: Number(start) });
}

/** A file is known by its path, and so is what shows it as a block device. */
function loop(folder: string): string | undefined {
  const file = read(folder, 'loop/backing_file');
  if (file === undefined) return undefined;
  const offset = read(folder, 'loop/offset') ?? '0';
  return offset === '0' ? fileIdentity(file) : `${fileIdentity(file)}@${offset}`;
}

export function fileIdentity(path: string): string {
  return `file:${path}`;
}

/** A software RAID; only newer kernels show it (Documentation/admin-guide/md.rst). */
function array(folder: string): string | undefined {
  const uuid = read(folder, 'md/uuid');
  return uuid === undefined ? undefined : `md:${uuid}`;
}

/** The name that the client of a network block device gave its server (Documentation/ABI/testing/sysfs-block-nbd). */
function network(folder: string): string | undefined {
  const backend = read(folder, 'backend');
  return backend === undefined ? undefined : `nbd:${backend}`;
}

/** For a namespace of NVMe, a SCSI or ATA disk, a virtio disk, an NVMe controller, an SD card; in this order. */
const HARDWARE = ['wwid', 'device/wwid', 'serial', 'device/serial', 'device/cid'] as const;

function hardware(folder: string): string | undefined {
  for (const name of HARDWARE) {
    const value = read(folder, name);
    if (value !== undefined && !isPlaceholder(value)) return `${basename(name)}:${value}`;
  }
  return usb(folder);
}

/** Placeholders that makers leave where nothing was set: one character time and again, or counting. */
function isPlaceholder(value: string): boolean {
  const word = value.slice(value.lastIndexOf(' ') + 1).replace(/^(?:eui|naa|uuid)\./, '');
  const id = word.replaceAll('-', '').toLowerCase();
  return /^(.)\1{3,}$/.test(id) || (id.length > 5 && '0123456789abcdef 1234567890'.includes(id));
}

/** For a stick, or an enclosure that does not pass on the disk's serial number. */
function usb(folder: string): string | undefined {
  const unit =
    basename(resolveLink(join(folder, 'device')) ?? '')
      .split(':')
      .at(-1) ?? '';
  for (let above = dirname(folder); above.length > 1; above = dirname(above)) {
    const vendor = read(above, 'idVendor');
    if (vendor === undefined) continue;
    const serial = read(above, 'serial');
    if (serial === undefined || isPlaceholder(serial)) return undefined;
    return `usb:${vendor}:${read(above, 'idProduct')}:${serial}:${unit}`;
  }
  return undefined;
}

/** Without what surrounds it; undefined for what is empty. */
function read(folder: string, name: string): string | undefined {
  const value = readLine(join(folder, name))?.trim();
  return value === '' ? undefined : value;
}

function resolveLink(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

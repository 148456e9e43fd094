// Inside the guest: real volume groups on loop devices over files in the guest's tmpfs.

import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { runTool } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { tool } from './tool.js';

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

export interface LogicalVolume {
  readonly vgName: string;
  readonly lvName: string;
  /** `/dev/mapper/...` */
  readonly path: string;
  /** The device-mapper name, hyphens doubled. */
  readonly dmName: string;
  /** In bytes, as LVM rounded it. */
  readonly size: number;
}

export interface VolumeGroupOptions {
  readonly name?: string;
  readonly size?: number;
  /** The physical extent in bytes, which LV sizes are rounded up to. */
  readonly extentSize?: number;
  /** The logical block size of the loop device below. */
  readonly sectorSize?: 512 | 4096;
}

export interface SnapshotOptions {
  readonly name?: string;
  /** The chunk in bytes. */
  readonly chunkSize: number;
  /** The COW store's size in bytes; LVM lowers it to what the origin can need. */
  readonly storeSize?: number;
  /** The test at whose end it is removed; without, it lasts as long as the group. */
  readonly until?: TestContext;
}

/** A volume group that is removed, with all that lies in it, by `destroy`. */
export class TestVolumeGroup {
  readonly name: string;
  /** The loop device that is the only PV. */
  readonly loopDevice: string;
  /** The file behind the loop device. */
  readonly backingFile: string;
  readonly #folder = scratchFolder();
  #slow: { readonly name: string; readonly below: string } | undefined;

  constructor(options: VolumeGroupOptions = {}) {
    this.name = options.name ?? 'vg0';
    this.backingFile = `${this.#folder}/pv`;
    this.loopDevice = loopDevice(
      this.backingFile,
      options.size ?? 400 * MiB,
      options.sectorSize ?? 512,
    );
    tool('pvcreate', '-q', this.loopDevice);
    tool('vgcreate', '-q', '-s', `${options.extentSize ?? 4 * MiB}b`, this.name, this.loopDevice);
  }

  createVolume(lvName: string, size: number): LogicalVolume {
    tool('lvcreate', '-q', '-y', '-Wn', '-Zn', '-L', `${size}b`, '-n', lvName, this.name);
    return this.volume(lvName);
  }

  createSnapshot(origin: LogicalVolume, options: SnapshotOptions): LogicalVolume {
    const lvName = options.name ?? 'snap';
    const size = options.storeSize ?? 2 * origin.size;
    tool(
      ...['lvcreate', '-q', '-y', '-s', '-n', lvName, '-L', `${size}b`],
      ...['-c', `${options.chunkSize}b`, `${this.name}/${origin.lvName}`],
    );
    const snapshot = this.volume(lvName);
    options.until?.after(() => this.remove(snapshot));
    return snapshot;
  }

  remove(volume: LogicalVolume): void {
    tool('lvremove', '-q', '-f', `${this.name}/${volume.lvName}`);
  }

  /** What is known of a volume of this group by its name. */
  volume(lvName: string): LogicalVolume {
    const vgName = this.name;
    const dmName = `${mangle(vgName)}-${mangle(lvName)}`;
    const path = `/dev/mapper/${dmName}`;
    return { vgName, lvName, dmName, path, size: deviceSize(path) };
  }

  /** Gives the group a second device, each write to which takes so many milliseconds. */
  addSlowDevice(size: number, delay: number): void {
    // LVM would find the same label on the loop device, were it at the same place there.
    const below = loopDevice(`${this.#folder}/slow`, size + MiB);
    const start = MiB / 512;
    const name = `slow-${this.name}`;
    const table = `0 ${size / 512} delay ${below} ${start} 0 ${below} ${start} ${delay}`;
    tool('dmsetup', 'create', name, '--table', table);
    // LVM's own writes go to the other one.
    tool('pvcreate', '-q', '--pvmetadatacopies', '0', `/dev/mapper/${name}`);
    tool('vgextend', '-q', this.name, `/dev/mapper/${name}`);
    this.#slow = { name, below };
  }

  destroy(): void {
    tool('vgremove', '-q', '-f', '-f', this.name);
    if (this.#slow !== undefined) {
      tool('dmsetup', 'remove', this.#slow.name);
      tool('losetup', '-d', this.#slow.below);
    }
    tool('losetup', '-d', this.loopDevice);
    rmSync(this.#folder, { recursive: true });
  }
}

/** A part of a device-mapper name. */
export function mangle(name: string): string {
  return name.replaceAll('-', '--');
}

/** Makes a loop device over a new sparse file. */
export function loopDevice(file: string, size: number, sectorSize: 512 | 4096 = 512): string {
  writeFileSync(file, '');
  truncateSync(file, size);
  return tool('losetup', '-f', '--show', '--sector-size', `${sectorSize}`, file);
}

/** A block device's size in bytes. */
export function deviceSize(path: string): number {
  return Number(tool('blockdev', '--getsize64', path));
}

/** The part of `dmsetup status` after start, length and target, such as `96/65536 16`. */
export function snapshotStatus(snapshot: LogicalVolume): string {
  return tool('dmsetup', 'status', snapshot.dmName).split(' ').slice(3).join(' ');
}

/** How many changed chunks the kernel counts in a thick snapshot, from its status line. */
export function exceptionCount(snapshot: LogicalVolume, chunkSize: number): number {
  const allocated = Number(snapshotStatus(snapshot).split('/')[0]) * 512;
  const next = allocated / chunkSize;
  const perArea = chunkSize / 16;
  return next - 2 - Math.floor((next - 2) / (perArea + 1));
}

/** Replaces the table of a live device-mapper device. */
export function reloadTable(dmName: string, table: string): void {
  const load = runTool(['dmsetup', 'load', dmName], { input: table });
  if (load.status !== 0) throw new Error(`dmsetup load ${dmName}: ${load.stderr}`);
  tool('dmsetup', 'suspend', '--noflush', dmName);
  tool('dmsetup', 'resume', dmName);
}

/**
 * Makes a part of a linear device answer as another target does: `error`, or what `target` returns
 * for the `device offset` that the linear target names there. Offsets are bytes.
 */
export function replaceSegment(
  dmName: string,
  segment: { readonly offset: number; readonly length: number },
  target: (device: string, sector: number) => string = () => 'error',
): void {
  const [, sectors = '', kind, device = '', base = ''] = tool('dmsetup', 'table', dmName).split(
    ' ',
  );
  if (kind !== 'linear') throw new Error(`${dmName} is not one linear segment`);
  const start = segment.offset / 512;
  const length = segment.length / 512;
  const end = start + length;
  const linear = (from: number, to: number): string =>
    to > from ? `${from} ${to - from} linear ${device} ${Number(base) + from}\n` : '';
  reloadTable(
    dmName,
    `${linear(0, start)}${start} ${length} ${target(device, Number(base) + start)}\n` +
      linear(end, Number(sectors)),
  );
}

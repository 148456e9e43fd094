// Inside the guest: devices and files of every class that a source or a destination can be of.

import { symlinkSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { runTool } from '../../helpers/program/cli.js';
import { tool } from './tool.js';

export interface DeviceClass {
  readonly name: string;
  /** Bytes of which its size is a multiple. */
  readonly sectorSize: number;
  /** Makes one of `size` bytes, for as long as the test runs; its files begin with `file`. */
  make(t: TestContext, file: string, size: number): string;
}

export const DEVICE_CLASSES: readonly DeviceClass[] = [
  { name: 'a file', sectorSize: 1, make: (_, file, size) => sparseFile(file, size) },
  {
    name: 'a symbolic link to a device',
    sectorSize: 512,
    make: (t, file, size) => {
      symlinkSync(loop(t, `${file}.target`, size), file);
      return file;
    },
  },
  {
    name: 'a device of sectors of 512 bytes',
    sectorSize: 512,
    make: (t, file, size) => loop(t, file, size),
  },
  {
    name: 'a device of sectors of 4096 bytes',
    sectorSize: 4096,
    make: (t, file, size) => loop(t, file, size, '--sector-size', '4096'),
  },
  {
    name: 'a device of sectors of 512 bytes that are parts of 4096',
    sectorSize: 512,
    make: (t, _, size) => partOfEmulation(t, size),
  },
];

/** Of exactly that size, which JavaScript prints rounded if it is very large. */
function sparseFile(file: string, size: number): string {
  tool('truncate', '-s', `${BigInt(size)}`, file);
  return file;
}

/** A loop device over a file, which is made if there is none, with the given options of losetup. */
export function loop(t: TestContext, file: string, size: number, ...options: string[]): string {
  const path = tool('losetup', '-f', '--show', ...options, sparseFile(file, size));
  t.after(() => tool('losetup', '-d', path));
  return path;
}

const EMULATED_DISK = '/dev/sda';
const EMULATED_MIB = 64;
let emulatedSectors = 0;
let parts = 0;

/** Of a disk that writes 4096 bytes at a time and takes 512: the next part of that many bytes. */
function partOfEmulation(t: TestContext, size: number): string {
  if (parts === 0) {
    const from = ['modprobe', '-d', '/run/modules'];
    tool(...from, 'sd_mod');
    const options = ['sector_size=512', 'physblk_exp=3', `dev_size_mb=${EMULATED_MIB}`, 'delay=0'];
    tool(...from, 'scsi_debug', ...options);
    while (runTool(['test', '-b', EMULATED_DISK]).status !== 0) tool('sleep', '0.1');
  }
  const name = `part-${parts++}`;
  const sectors = size / 512;
  const table = `0 ${sectors} linear ${EMULATED_DISK} ${emulatedSectors}`;
  emulatedSectors += Math.ceil(sectors / 8) * 8;
  tool('dmsetup', 'create', name, '--table', table);
  t.after(() => tool('dmsetup', 'remove', name));
  return `/dev/mapper/${name}`;
}

// Inside the guest: real thin pools, and what device-mapper tells of them.

import {
  copyFileSync,
  existsSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { CLI } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { type LogicalVolume, MiB, type TestVolumeGroup } from './lvm.js';
import { tool } from './tool.js';

/** lvmsync keeps records in /var/lib, which is the host's: from here on the guest has its own. */
export function useOwnStateFolder(): void {
  const isOwn = readFileSync('/proc/mounts', 'utf8').includes(' /var/lib tmpfs ');
  if (!isOwn) tool('mount', '-t', 'tmpfs', 'tmpfs', '/var/lib');
}

export interface ThinPoolOptions {
  readonly name?: string;
  /** Bytes. */
  readonly size: number;
  /** The data block in bytes: a multiple of 64 KiB. */
  readonly blockSize: number;
  /** Bytes, at least 2 MiB. */
  readonly metadataSize?: number;
  /** Whether new blocks are zeroed, as LVM's default is; else they hold what they held before. */
  readonly zero?: boolean;
}

export class TestThinPool {
  readonly name: string;
  readonly group: TestVolumeGroup;
  /** Of the layer that its volumes are on. */
  readonly dmName: string;

  constructor(group: TestVolumeGroup, options: ThinPoolOptions) {
    this.group = group;
    this.name = options.name ?? 'pool';
    this.dmName = `${group.name}-${this.name}-tpool`;
    tool(
      ...['lvcreate', '-q', '-y', '--type', 'thin-pool', '-L', `${options.size}b`],
      ...['-c', `${options.blockSize}b`],
      ...['--poolmetadatasize', `${options.metadataSize ?? 4 * MiB}b`],
      ...['-Z', options.zero === false ? 'n' : 'y', '-n', this.name, group.name],
    );
  }

  createVolume(lvName: string, size: number): LogicalVolume {
    const pool = `${this.group.name}/${this.name}`;
    tool('lvcreate', '-q', '-y', '-Wn', '-V', `${size}b`, '-T', pool, '-n', lvName);
    return this.group.volume(lvName);
  }

  /** Active, which a thin snapshot is not by itself. */
  snapshot(origin: LogicalVolume, lvName: string): LogicalVolume {
    const { name } = this.group;
    tool('lvcreate', '-q', '-y', '-kn', '-s', '-n', lvName, `${name}/${origin.lvName}`);
    tool('lvchange', '-q', '-ay', `${name}/${lvName}`);
    return this.group.volume(lvName);
  }

  /** Has one of its volumes, by number, under a name of its own, whether LVM has it active or not. */
  lookAt<T>(thinId: string, size: number, look: (path: string) => T): T {
    const table = `0 ${size / 512} thin /dev/mapper/${this.dmName} ${thinId}`;
    tool('dmsetup', 'create', 'looked-at', '--readonly', '--table', table);
    try {
      return look('/dev/mapper/looked-at');
    } finally {
      tool('dmsetup', 'remove', 'looked-at');
    }
  }

  /** The fields of its status line after the target's name. */
  status(): string[] {
    return tool('dmsetup', 'status', '--noflush', this.dmName).split(' ').slice(3);
  }

  /** The root of the metadata snap, or "-". */
  heldRoot(): string {
    return this.status()[3] ?? '';
  }

  send(message: string): void {
    tool('dmsetup', 'message', this.dmName, '0', message);
  }

  /** Of lvmsync, on who holds its metadata snap. */
  recordPath(): string {
    const uuid = tool('dmsetup', 'info', '-c', '--noheadings', '-o', 'uuid', this.dmName);
    return `/var/lib/lvmsync/${uuid.slice(0, 68)}.held.json`;
  }
}

/** How much of a thin volume has blocks of its pool. */
export function mappedBytes(volume: LogicalVolume): number {
  return Number(tool('dmsetup', 'status', volume.dmName).split(' ')[3]) * 512;
}

export function discard(path: string, offset: number, length: number): void {
  tool('blkdiscard', '-o', `${offset}`, '-l', `${length}`, path);
}

/** A command for --rsh that runs the receiver on this machine, and the words that name both. */
export function shellForSsh(): string[] {
  const folder = scratchFolder();
  writeFileSync(`${folder}/rsh`, '#!/bin/sh\nshift\nexec sh -c "$*"\n', { mode: 0o755 });
  const receiver = `#!/bin/sh\nexec ${process.execPath} ${CLI} "$@"\n`;
  writeFileSync(`${folder}/lvmsync`, receiver, { mode: 0o755 });
  return ['--rsh', `${folder}/rsh`, '--remote-path', `${folder}/lvmsync`];
}

/**
 * A program in place of one of the machine's tools: a bash script that runs first, and may exit. In it
 * the command `original` is the machine's.
 */
class FakeTool {
  readonly #script: string;

  /** `calls` is a pattern of bash: for which "PROGRAM,ARGUMENTS" the script is to run. */
  constructor(path: string, calls: string) {
    const folder = scratchFolder();
    const program = realpathSync(path);
    this.#script = `${folder}/script`;
    copyFileSync(program, `${folder}/tool`);
    const wrapper = `#!/bin/bash
original() { (exec -a "$0" ${folder}/tool "$@"); }
case "$0,$*" in ${calls}) [ ! -e ${this.#script} ] || . ${this.#script} ;; esac
exec -a "$0" ${folder}/tool "$@"
`;
    writeFileSync(`${folder}/wrapper`, wrapper, { mode: 0o755 });
    tool('mount', '--bind', `${folder}/wrapper`, program);
  }

  before(script: string): void {
    writeFileSync(this.#script, script);
  }

  asAlways(): void {
    if (existsSync(this.#script)) rmSync(this.#script);
  }
}

/** One program goes by the name of each thin tool: of them only thin_dump that reads a pool changes. */
export class FakeThinDump extends FakeTool {
  constructor() {
    super('/usr/sbin/thin_dump', '*/thin_dump,-m*');
  }
}

/** dmsetup that is to reserve the metadata snap of a pool. */
export class FakeReservation extends FakeTool {
  constructor() {
    super('/usr/sbin/dmsetup', '*,message*reserve_metadata_snap');
  }
}

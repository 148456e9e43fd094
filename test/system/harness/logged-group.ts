// Inside the guest: a volume group on a disk that notes its writes, and again on that disk as a power
// cut could have left it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { scratchFolder } from '../../helpers/scratch.js';
import { writeWhole } from './content.js';
import { type LogEntry, markLog, readLog, startLog } from './log-writes.js';
import { type LogicalVolume, loopDevice, MiB, mangle } from './lvm.js';
import { tool } from './tool.js';

const LOGGED = 'logged';
const GROUP = 'target';
const STATE = '/var/lib/lvmsync';
const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const LOG_SIZE = 256 * MiB;
/** That there may be at once: two of each of two chains. */
const SNAPSHOTS = 4;

export interface LoggedVolumes {
  /** Bytes of the volume that is synced to. */
  readonly copy: number;
  /** Of another, `mail`, with room for thick snapshots of all of it. */
  readonly origin?: number;
}

/** First `record`, then `crashDisk` and what that returns are used. */
export class LoggedGroup {
  readonly name = GROUP;
  /** The volume that is synced to. */
  readonly copy: LogicalVolume;
  /** The other one, whether it was asked for or not. */
  readonly origin: LogicalVolume;
  /** Where the file system of the other volume is mounted. */
  readonly mountPoint: string;
  readonly #folder = scratchFolder();
  readonly #test: TestContext;
  readonly #size: number;

  /** The test's end removes everything. */
  constructor(test: TestContext, { copy, origin = 0 }: LoggedVolumes) {
    this.#test = test;
    this.#size = copy + 24 * MiB + SNAPSHOTS * 2 * origin;
    this.mountPoint = `${this.#folder}/mounted`;
    mkdirSync(this.mountPoint);
    this.copy = logicalVolume('copy', copy);
    this.origin = logicalVolume('mail', origin);
  }

  /** Makes volumes and file system, runs the work with all of it noted, and returns the notes. */
  record(content: Buffer, work: (mark: (word: string) => void) => void): Recording {
    const disk = loopDevice(`${this.#folder}/disk`, this.#size);
    tool('pvcreate', '-q', disk);
    tool('vgcreate', '-q', '-s', '1m', GROUP, disk);
    for (const [name, size] of [
      ['copy', this.copy.size],
      ['undo', 20 * MiB],
      ['mail', this.origin.size],
    ] as const) {
      if (size === 0) continue;
      tool('lvcreate', '-q', '-y', '-Wn', '-Zn', '-L', `${size}b`, '-n', name, GROUP);
    }
    tool('mkfs.ext4', '-q', '-E', 'nodiscard,lazy_itable_init=0', `/dev/mapper/${GROUP}-undo`);
    writeWhole(this.copy.path, content);
    tool('vgchange', '-q', '-an', GROUP);
    tool('blockdev', '--flushbufs', disk);
    const image = readFileSync(`${this.#folder}/disk`);
    const log = loopDevice(`${this.#folder}/log`, LOG_SIZE);
    startLog(LOGGED, disk, log);
    const lookElsewhere = this.#lookAtLogged(disk);
    tool('vgchange', '-q', '-ay', GROUP);
    this.mount();
    work((word) => markLog(LOGGED, word));
    this.unmount();
    tool('vgchange', '-q', '-an', GROUP);
    lookElsewhere();
    tool('dmsetup', 'remove', LOGGED);
    for (const device of [disk, log]) tool('losetup', '-d', device);
    return { image, entries: readLog(`${this.#folder}/log`) };
  }

  /** LVM looks at loop devices alone, and would find the group on the disk below the logging one. */
  #lookAtLogged(disk: string): () => void {
    const { LVM_SYSTEM_DIR: former = '/etc/lvm' } = process.env;
    const folder = `${this.#folder}/lvm`;
    mkdirSync(folder);
    const settings = readFileSync(`${former}/lvm.conf`, 'utf8');
    const filter = `filter=["r|^${disk}$|","a|^/dev/mapper/${LOGGED}$|",`;
    assert.match(settings, /filter=\[/);
    writeFileSync(`${folder}/lvm.conf`, settings.replace('filter=[', filter));
    process.env.LVM_SYSTEM_DIR = folder;
    return () => {
      process.env.LVM_SYSTEM_DIR = former;
    };
  }

  /**
   * The same volumes on another disk; `become` gives it any content of the first, which may hold other
   * snapshots. It is another boot for each of them, as after a power cut.
   */
  crashDisk(image: Buffer): { become(image: Buffer): void } {
    const file = `${this.#folder}/crashed`;
    const disk = loopDevice(file, this.#size);
    writeWhole(disk, image);
    tool('vgchange', '-q', '-ay', GROUP);
    const bootId = `${this.#folder}/boot-id`;
    const reboot = (): void => writeFileSync(bootId, `${randomUUID()}\n`);
    reboot();
    tool('mount', '--bind', bootId, BOOT_ID);
    this.#test.after(() => {
      tool('umount', BOOT_ID);
      tool('vgchange', '-q', '-an', GROUP);
      tool('losetup', '-d', disk);
    });
    // What a device's cache holds goes when nobody has it open any more.
    if (this.origin.size === 0) {
      return {
        become: (state) => {
          reboot();
          writeWhole(file, state);
        },
      };
    }
    return {
      become: (state) => {
        reboot();
        tool('vgchange', '-q', '-an', GROUP);
        writeWhole(file, state);
        tool('vgchange', '-q', '-ay', GROUP);
      },
    };
  }

  devicePath(lvName: string): string {
    return logicalVolume(lvName, 0).path;
  }

  /** With what lvmsync keeps in /var/lib: a power cut takes that back, too. */
  mount(): void {
    tool('mount', `/dev/mapper/${GROUP}-undo`, this.mountPoint);
    const state = `${this.mountPoint}/state`;
    for (const folder of [state, STATE]) mkdirSync(folder, { recursive: true, mode: 0o700 });
    tool('mount', '--bind', state, STATE);
  }

  unmount(): void {
    tool('umount', STATE);
    tool('umount', this.mountPoint);
  }
}

export interface Recording {
  /** The content of the disk before the first entry. */
  readonly image: Buffer;
  readonly entries: readonly LogEntry[];
}

function logicalVolume(lvName: string, size: number): LogicalVolume {
  const dmName = `${GROUP}-${mangle(lvName)}`;
  return { vgName: GROUP, lvName, dmName, path: `/dev/mapper/${dmName}`, size };
}

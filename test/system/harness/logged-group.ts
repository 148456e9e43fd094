// Inside the guest: a volume group on a disk that notes its writes, and again on that disk as a power
// cut could have left it.

import { mkdirSync, readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { writeWhole } from './content.js';
import { type LogEntry, markLog, readLog, startLog } from './log-writes.js';
import { type LogicalVolume, loopDevice, MiB, scratchFolder } from './lvm.js';
import { tool } from './tool.js';

const LOGGED = 'logged';
const GROUP = 'target';
const LOG_SIZE = 256 * MiB;

/** Made by `create`; then `log`, `crashDisk` and what that returns are used in this order. */
export class LoggedGroup {
  /** The volume that is synced to. */
  readonly copy: LogicalVolume;
  /** Where the file system of the other volume is mounted. */
  readonly mountPoint: string;
  readonly #folder = scratchFolder();
  readonly #test: TestContext;
  readonly #size: number;

  /** `copySize`: bytes of the volume that is synced to. The test's end removes everything. */
  constructor(test: TestContext, copySize: number) {
    this.#test = test;
    this.#size = copySize + 24 * MiB;
    this.mountPoint = `${this.#folder}/mounted`;
    mkdirSync(this.mountPoint);
    const path = `/dev/mapper/${GROUP}-copy`;
    this.copy = { vgName: GROUP, lvName: 'copy', dmName: `${GROUP}-copy`, path, size: copySize };
  }

  /** Makes volumes and file system, runs the work with all of it noted, and returns the notes. */
  record(content: Buffer, work: (mark: (word: string) => void) => void): Recording {
    const disk = loopDevice(`${this.#folder}/disk`, this.#size);
    tool('pvcreate', '-q', disk);
    tool('vgcreate', '-q', '-s', '1m', GROUP, disk);
    tool('lvcreate', '-q', '-y', '-Wn', '-Zn', '-L', `${this.copy.size}b`, '-n', 'copy', GROUP);
    tool('lvcreate', '-q', '-y', '-Wn', '-Zn', '-L', '20m', '-n', 'undo', GROUP);
    tool('mkfs.ext4', '-q', '-E', 'nodiscard,lazy_itable_init=0', `/dev/mapper/${GROUP}-undo`);
    writeWhole(this.copy.path, content);
    tool('vgchange', '-q', '-an', GROUP);
    tool('blockdev', '--flushbufs', disk);
    const image = readFileSync(`${this.#folder}/disk`);
    const log = loopDevice(`${this.#folder}/log`, LOG_SIZE);
    startLog(LOGGED, disk, log);
    tool('vgchange', '-q', '-ay', ...ON_LOGGED, GROUP);
    this.mount();
    work((word) => markLog(LOGGED, word));
    this.unmount();
    tool('vgchange', '-q', '-an', ...ON_LOGGED, GROUP);
    tool('dmsetup', 'remove', LOGGED);
    for (const device of [disk, log]) tool('losetup', '-d', device);
    return { image, entries: readLog(`${this.#folder}/log`) };
  }

  /** The same volumes on another disk; `become` gives it any content of the first. */
  crashDisk(image: Buffer): { become(image: Buffer): void } {
    const file = `${this.#folder}/crashed`;
    const disk = loopDevice(file, this.#size);
    writeWhole(disk, image);
    tool('vgchange', '-q', '-ay', GROUP);
    this.#test.after(() => {
      tool('vgchange', '-q', '-an', GROUP);
      tool('losetup', '-d', disk);
    });
    // What a device's cache holds goes when nobody has it open any more.
    return { become: (state) => writeWhole(file, state) };
  }

  mount(): void {
    tool('mount', `/dev/mapper/${GROUP}-undo`, this.mountPoint);
  }

  unmount(): void {
    tool('umount', this.mountPoint);
  }
}

export interface Recording {
  /** The content of the disk before the first entry. */
  readonly image: Buffer;
  readonly entries: readonly LogEntry[];
}

/** LVM looks at loop devices alone, and would find the group on the disk below the logging one. */
const ON_LOGGED = ['--config', `devices{filter=["a|^/dev/mapper/${LOGGED}$|","r|.*|"]}`];

/** A made-up /proc and /sys in a temporary directory, with the shape of the kernel's. */

import { mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { DeviceIdentity, TopologyEffects } from '../../../src/device/topology.js';

export interface FakeDevice {
  /** `major:minor` */
  readonly device: string;
  readonly kernelName: string;
  readonly dmName?: string;
  readonly dmUuid?: string;
  /** Kernel names of devices made before. */
  readonly slaves?: readonly string[];
  /** Kernel name of the disk that this is a partition of. */
  readonly partitionOf?: string;
  readonly loopBacking?: string;
}

export interface FakeProcess {
  readonly pid: number;
  readonly name: string;
  readonly descriptors: readonly { readonly link: string; readonly flags: string }[];
}

export class FakeMachine {
  readonly root = mkdtempSync(join(tmpdir(), 'fake-machine-'));
  readonly #nodes = new Map<string, DeviceIdentity>();
  readonly #folders = new Map<string, string>();
  readonly #mounts: string[] = [];
  readonly #swaps = ['Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority'];

  constructor() {
    this.mount('21 16 0:19 / /run rw,relatime - tmpfs tmpfs rw');
  }

  get effects(): TopologyEffects {
    return { root: this.root, identify: (path) => this.#identify(path) };
  }

  /** Makes the device with links both ways to its slaves, and the node /dev/KERNELNAME. */
  add(fake: FakeDevice): void {
    const parent = fake.partitionOf && this.#folders.get(fake.partitionOf);
    const folder = join(parent ?? join(this.root, 'sys/devices/block'), fake.kernelName);
    this.#folders.set(fake.kernelName, folder);
    this.#write(join(folder, 'dev'), `${fake.device}\n`);
    this.#link(join(this.root, 'sys/dev/block', fake.device), folder);
    if (fake.partitionOf !== undefined) this.#write(join(folder, 'partition'), '1\n');
    else this.#link(join(this.root, 'sys/block', fake.kernelName), folder);
    if (fake.dmName !== undefined) this.#write(join(folder, 'dm/name'), `${fake.dmName}\n`);
    if (fake.dmUuid !== undefined) this.#write(join(folder, 'dm/uuid'), `${fake.dmUuid}\n`);
    if (fake.loopBacking !== undefined) {
      this.#write(join(folder, 'loop/backing_file'), `${fake.loopBacking}\n`);
    }
    for (const slave of fake.slaves ?? []) {
      const below = this.#folders.get(slave)!;
      this.#link(join(folder, 'slaves', slave), below);
      this.#link(join(below, 'holders', fake.kernelName), folder);
    }
    this.node(`/dev/${fake.kernelName}`, { kind: 'block', device: fake.device });
  }

  /** What a path leads to. */
  node(path: string, identity: DeviceIdentity): void {
    this.#nodes.set(path, identity);
  }

  /** A line of /proc/self/mountinfo. */
  mount(line: string): void {
    this.#mounts.push(line);
    this.#write(join(this.root, 'proc/self/mountinfo'), `${this.#mounts.join('\n')}\n`);
  }

  /** A line of /proc/swaps. */
  swap(line: string): void {
    this.#swaps.push(line);
    this.#write(join(this.root, 'proc/swaps'), `${this.#swaps.join('\n')}\n`);
  }

  /** Returns what ends it. */
  addProcess({ pid, name, descriptors }: FakeProcess): () => void {
    const folder = join(this.root, 'proc', String(pid));
    this.#write(join(folder, 'comm'), `${name}\n`);
    descriptors.forEach(({ link, flags }, number) => {
      mkdirSync(join(folder, 'fd'), { recursive: true });
      symlinkSync(link, join(folder, 'fd', String(number)));
      this.#write(
        join(folder, 'fdinfo', String(number)),
        `pos:\t0\nflags:\t${flags}\nmnt_id:\t9\n`,
      );
    });
    return () => rmSync(folder, { recursive: true });
  }

  remove(): void {
    rmSync(this.root, { recursive: true });
  }

  #identify(path: string): DeviceIdentity | undefined {
    return this.#nodes.get(path.startsWith(this.root) ? readlinkSync(path) : path);
  }

  #write(path: string, text: string): void {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  #link(path: string, target: string): void {
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(relative(dirname(path), target), path);
  }
}

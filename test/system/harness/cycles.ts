// Inside the guest: an origin that something writes to all the time, its copy, and the cycle between them.

import assert from 'node:assert/strict';
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { CLI, type CliResult, lvmsync } from '../../helpers/program/cli.js';
import type { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { contentHash, fillRandom } from './content.js';
import { KiB, type LogicalVolume, MiB, TestVolumeGroup } from './lvm.js';
import { TestThinPool } from './thin.js';
import { tool } from './tool.js';

const SIZE = 8 * MiB;
const POOL = { blockSize: 64 * KiB, metadataSize: 2 * MiB };

/** A snapshot that a cycle made, as lvs shows it. */
export interface CycleSnapshot {
  readonly lvName: string;
  readonly uuid: string;
  /** The number of a thin one in its pool. */
  readonly thinId: string | undefined;
}

export interface CycleKinds {
  /** Put before the path of the copy, as in `root@localhost:`. */
  readonly host?: string;
  /** The copy is thin: what was discarded is given back there. */
  readonly thinCopy?: boolean;
  /** Milliseconds that each write to the COW stores of thick snapshots takes. */
  readonly storeDelay?: number;
  /** How many write at once; one without. */
  readonly writers?: number;
}

/** `vg0/mail`, thick or thin, and `vg1/mail`, to which it is copied. */
export class CycleLaboratory {
  readonly kind: 'thick' | 'thin';
  readonly origin: LogicalVolume;
  readonly copy: LogicalVolume;
  readonly chain: string;
  readonly #here: TestVolumeGroup;
  readonly #there: TestVolumeGroup;
  /** As typed. */
  readonly #destination: string;
  /** Of a thin origin. */
  readonly #pool: TestThinPool | undefined;
  readonly #writers: number;
  #writer: ChildProcess | undefined;

  constructor(
    kind: 'thick' | 'thin',
    random: Random,
    { host = '', thinCopy = false, storeDelay, writers = 1 }: CycleKinds = {},
  ) {
    this.kind = kind;
    this.#writers = writers;
    // Where the stores lie elsewhere there is no room for more than the origin.
    const size = storeDelay === undefined ? 90 * MiB : SIZE + MiB;
    this.#here = new TestVolumeGroup({ name: 'vg0', size, extentSize: MiB });
    this.#there = new TestVolumeGroup({ name: 'vg1', size: 48 * MiB, extentSize: MiB });
    if (kind === 'thin') this.#pool = createPool(this.#here, 64 * MiB);
    this.origin = (this.#pool ?? this.#here).createVolume('mail', SIZE);
    if (storeDelay !== undefined) this.#here.addSlowDevice(40 * MiB, storeDelay);
    const there = thinCopy ? createPool(this.#there, 32 * MiB) : this.#there;
    this.copy = there.createVolume('mail', SIZE);
    this.chain = `${scratchFolder()}/mail.chain`;
    this.#destination = `${host}${this.copy.path}`;
    fillRandom(this.origin.path, random, SIZE / 2);
    fillRandom(this.copy.path, random, SIZE);
  }

  /** Writes a random chunk, and now and then discards some, every few milliseconds until stopWriter. */
  startWriter(): void {
    const script = `
      const fs = require('node:fs');
      const crypto = require('node:crypto');
      const { spawnSync } = require('node:child_process');
      const [, device, size, discards, writers] = process.argv;
      const descriptor = fs.openSync(device, fs.constants.O_WRONLY | fs.constants.O_DSYNC);
      const write = () => {
        const offset = crypto.randomInt(Number(size) / 4096) * 4096;
        fs.write(descriptor, crypto.randomBytes(4096), 0, 4096, offset, (error) => {
          if (error) throw error;
          if (discards === '1' && crypto.randomInt(100) === 0) {
            const place = String(Math.floor(offset / 65536) * 65536);
            spawnSync('blkdiscard', ['-o', place, '-l', '65536', device]);
          }
          setTimeout(write, 20);
        });
      };
      for (let i = 0; i < Number(writers); i++) write();`;
    const discards = this.kind === 'thin' ? '1' : '0';
    const words = ['-e', script, this.origin.path, `${SIZE}`, discards, `${this.#writers}`];
    const env = { ...process.env, UV_THREADPOOL_SIZE: `${this.#writers}` };
    this.#writer = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'], env });
  }

  async stopWriter(): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    assert.equal(writer.exitCode, null, 'the writer wrote all the time');
    const stopped = once(writer, 'exit');
    writer.kill();
    await stopped;
    this.#writer = undefined;
  }

  /** The command line of a turn; snapshots of a thick volume get as much room as they can ever need. */
  words(...options: string[]): string[] {
    const size = this.kind === 'thick' ? ['--size', '120%'] : [];
    const words = ['cycle', 'vg0/mail', this.#destination, '--snapback', this.chain];
    return [...words, ...size, ...options];
  }

  turn(...options: string[]): CliResult {
    return lvmsync(this.words(...options));
  }

  /** A turn in a process group of its own, as a shell starts a job. */
  startTurn(...options: string[]): ChildProcessByStdio<null, null, Readable> {
    const words = [CLI, ...this.words(...options)];
    const stdio: ['ignore', 'ignore', 'pipe'] = ['ignore', 'ignore', 'pipe'];
    return spawn(process.execPath, words, { stdio, detached: true });
  }

  /** Resolves when the destination holds part of the turn, or that is over. */
  async isUnderWay(turn: ChildProcess): Promise<void> {
    while (!this.isBegun() && turn.exitCode === null) await delay(10);
  }

  /** With `volume` in the origin's place. */
  turnOf(volume: string): CliResult {
    return lvmsync(this.words().map((word) => (word === 'vg0/mail' ? volume : word)));
  }

  /** With another directory in the place of the chain. */
  turnInto(directory: string, ...options: string[]): CliResult {
    const words = this.words(...options);
    return lvmsync(words.map((word) => (word === this.chain ? directory : word)));
  }

  /** A turn that must succeed and leave the copy equal to the only snapshot there is; its hash. */
  turnSucceeds(...options: string[]): string {
    const { status, stderr } = this.turn(...options);
    assert.equal(status, 0, stderr);
    const snapshots = this.snapshots();
    assert.equal(snapshots.length, 1, `the snapshots after a turn: ${JSON.stringify(snapshots)}`);
    const [snapshot = assert.fail()] = snapshots;
    assert.equal(snapshot.uuid, this.point(), 'the point that the record names');
    const hash = this.hash();
    assert.equal(hash, this.#hashOf(snapshot), `the copy and ${snapshot.lvName}`);
    return hash;
  }

  #hashOf({ lvName, thinId }: CycleSnapshot): string {
    if (thinId === undefined) return contentHash(this.#here.volume(lvName).path);
    const pool = this.#pool ?? assert.fail('a thin snapshot, and no pool');
    return pool.lookAt(thinId, SIZE, contentHash);
  }

  /** Of the copy. */
  hash(): string {
    return contentHash(this.copy.path);
  }

  /** Of the cycle. */
  snapshots(): CycleSnapshot[] {
    return snapshotsOf('vg0');
  }

  /** The uuid that the record of the chain names; undefined while there is none. */
  point(): string | undefined {
    return this.#record()?.point?.uuid;
  }

  /** Whether something was begun that has not come to its end. */
  isBegun(): boolean {
    return (this.#record()?.doing ?? null) !== null;
  }

  #record(): { readonly point: CycleSnapshot | null; readonly doing: unknown } | undefined {
    try {
      return JSON.parse(readFileSync(`${this.chain}/chain.json`, 'utf8'));
    } catch {
      return undefined;
    }
  }

  async destroy(): Promise<void> {
    await this.stopWriter();
    this.#here.destroy();
    this.#there.destroy();
  }
}

/** Those that cycles made in a volume group. */
export function snapshotsOf(vgName: string): CycleSnapshot[] {
  const select = ['--select', 'lv_tags=lvmsync_cycle'];
  const rows = tool('lvs', '--noheadings', ...select, '-o', 'lv_name,lv_uuid,thin_id', vgName);
  return rows.split('\n').flatMap((row) => {
    const [lvName, uuid, thinId] = row.trim().split(/\s+/);
    return lvName === undefined || uuid === undefined ? [] : [{ lvName, uuid, thinId }];
  });
}

function createPool(group: TestVolumeGroup, size: number): TestThinPool {
  return new TestThinPool(group, { ...POOL, size });
}

import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { identifyPath } from '../../../src/device/topology.js';
import { type Watched, WriteWatch } from '../../../src/device/write-watch.js';
import { FakeMachine } from '../../helpers/devices/fake-machine.js';
import { scratchFolder } from '../../helpers/scratch.js';

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

describe('a watched block device', () => {
  const DEVICE = '254:3';
  const machines: FakeMachine[] = [];
  afterEach(() => {
    for (const machine of machines.splice(0)) machine.remove();
  });

  function newMachine(): FakeMachine {
    const machine = new FakeMachine();
    machines.push(machine);
    return machine;
  }

  /** The sectors written and discarded, and the writes that completed. */
  interface Counters {
    readonly completed?: number;
    readonly sectors?: number;
    readonly discarded?: number;
  }

  class FakeDisk {
    readonly machine = newMachine();
    readonly #folder = join(this.machine.root, 'sys/dev/block', DEVICE);
    flushes = 0;
    /** Where it does not, its numbers stand still. */
    counts = true;
    #reads = 3;

    constructor() {
      this.machine.add({ device: DEVICE, kernelName: 'dm-3' });
      this.count({});
      this.inFlight(0, 0);
    }

    /** Linux 6.1: seventeen numbers. */
    count({ completed = 7, sectors = 80, discarded = 0 }: Counters): void {
      const reads = `${this.#reads} 0 ${this.#reads * 8} 5`;
      const writes = `${completed} 0 ${sectors} 5`;
      put(join(this.#folder, 'stat'), ` ${reads} ${writes} 0 9 9 1 0 ${discarded} 0 3 1\n`);
    }

    inFlight(reads: number, writes: number): void {
      put(join(this.#folder, 'inflight'), `       ${reads}        ${writes}\n`);
    }

    watch(): Promise<WriteWatch> {
      const identity = { kind: 'block', device: DEVICE } as const;
      // What was in its cache is written now, before the watch begins.
      const sync = async (): Promise<void> => {
        this.count({ sectors: 99 });
        this.flushes++;
      };
      const readBatch = async (): Promise<void> => {
        if (this.counts) this.#reads++;
        this.count({ sectors: 99 });
      };
      const device = { path: '/dev/vg/data', identity, size: 1 << 20, sync, readBatch };
      return WriteWatch.begin(device, '', this.machine.root);
    }
  }

  const now: readonly [what: string, change: (disk: FakeDisk) => void, expected: string][] = [
    ['that is only read', (disk) => disk.count({ sectors: 99 }), 'none'],
    [
      'that is flushed, which is a write of nothing',
      (disk) => disk.count({ completed: 8, sectors: 99 }),
      'none',
    ],
    ['that is being read at the end', (disk) => disk.inFlight(4, 0), 'none'],
    ['to which a sector is written', (disk) => disk.count({ sectors: 100 }), 'some'],
    ['of which a sector is discarded', (disk) => disk.count({ sectors: 99, discarded: 1 }), 'some'],
    ['that is being written at the end', (disk) => disk.inFlight(0, 1), 'some'],
    [
      'that is gone',
      (disk) => rmSync(join(disk.machine.root, 'sys'), { recursive: true }),
      'unknown',
    ],
  ];
  for (const [what, change, expected] of now) {
    test(`${what} was written: ${expected}`, async () => {
      const disk = new FakeDisk();
      const watch = await disk.watch();
      assert.equal(watch.writes(), 'none');
      change(disk);
      assert.equal(watch.writes(), expected);
      assert.equal(disk.flushes, 1);
    });
  }

  test('that is being written when the watch begins was written while it was watched', async () => {
    const disk = new FakeDisk();
    disk.inFlight(0, 2);
    const watch = await disk.watch();
    disk.inFlight(0, 0);
    assert.equal(watch.writes(), 'some');
  });

  test('that the kernel does not count for cannot be judged', async () => {
    const disk = new FakeDisk();
    disk.counts = false;
    assert.equal((await disk.watch()).writes(), 'unknown');
  });
});

describe('a watched file', () => {
  const folder = scratchFolder();
  const path = join(folder, 'data.img');
  const past = new Date('2020-01-01');

  const changes: readonly [what: string, change: () => void, expected: string][] = [
    ['that nobody touches', () => undefined, 'none'],
    ['that grows', () => appendFileSync(path, 'x'), 'some'],
    ['that is written in place', () => writeFileSync(path, 'more', { flag: 'r+' }), 'some'],
    [
      'that is written, its time of modification set back',
      () => {
        writeFileSync(path, 'more', { flag: 'r+' });
        utimesSync(path, past, past);
      },
      'some',
    ],
    [
      'that makes room for another one',
      () => {
        writeFileSync(`${path}.new`, 'data');
        renameSync(`${path}.new`, path);
      },
      'unknown',
    ],
    ['that is removed', () => rmSync(path), 'unknown'],
  ];
  for (const [what, change, expected] of changes) {
    test(`${what} was written: ${expected}`, async () => {
      writeFileSync(path, 'data');
      utimesSync(path, past, past);
      const watch = await WriteWatch.begin(watched(path));
      change();
      assert.equal(watch.writes(), expected);
    });
  }

  function watched(file: string): Watched {
    const identity = identifyPath(file);
    assert.ok(identity !== undefined);
    const nothing = async (): Promise<void> => undefined;
    return { path: file, identity, size: 4, sync: nothing, readBatch: nothing };
  }
});

/**
 * What a cycle costs those who use its origin: how long their writes take while a turn is under way, held
 * against the same writes where only its two snapshots exist. Needs root and device-mapper.
 */

import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Spread, spread } from './cost.js';
import { ours } from './local-jobs.js';
import type { Media } from './media.js';

const MIB = 2 ** 20;
/** Milliseconds in which a writer is not looked at: its first writes take longer than all others. */
const WARM_UP_MS = 3000;
/** Changes of the volume before each turn, which it sends; each of 4 KiB. */
const CHANGES = 4000;

/** How turns are run: options of theirs, as they stand behind the command. */
const MANNERS = ['', ' --nice idle --ionice idle'];

export interface LatencyResult {
  readonly manner: string;
  /** Milliseconds within which 99 of 100 writes were done: with the snapshots alone, and during a turn. */
  readonly alone: Spread;
  readonly during: Spread;
  /** The second by the first, of each round. */
  readonly ratio: Spread;
  /** How many there were during turns, in all rounds. */
  readonly writes: number;
  /** Seconds. */
  readonly longestTurn: number;
}

/** Why it cannot be measured here; undefined where it can. */
export function whyNoLatency(): string | undefined {
  const { status, error } = spawnSync('dmsetup', ['targets'], { stdio: 'ignore' });
  if (error === undefined && status === 0) return undefined;
  return 'no device-mapper: "dmsetup targets" fails';
}

/** Of a volume half as large as the media; it needs twice as much as that in their folder. */
export async function runWriterLatency(
  media: Media,
  rounds: number,
): Promise<readonly LatencyResult[]> {
  const volume = new BenchVolume(media);
  try {
    await volume.turn('--init');
    const all: Round[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const manner of MANNERS) all.push(await runRound(volume, manner));
    }
    return MANNERS.map((manner) => summarise(manner, all));
  } finally {
    volume.remove();
  }
}

function summarise(manner: string, all: readonly Round[]): LatencyResult {
  const results = all.filter((round) => round.manner === manner);
  return {
    manner,
    alone: spread(results.map(({ alone }) => alone)),
    during: spread(results.map(({ during }) => during)),
    ratio: spread(results.map(({ alone, during }) => during / alone)),
    writes: results.reduce((sum, { writes }) => sum + writes, 0),
    longestTurn: Math.max(...results.map(({ seconds }) => seconds)),
  };
}

interface Round {
  readonly manner: string;
  readonly alone: number;
  readonly during: number;
  readonly writes: number;
  /** Of the turn. */
  readonly seconds: number;
}

/** The turn first: what it is held against takes as long, and begins with a volume in the same state. */
async function runRound(volume: BenchVolume, manner: string): Promise<Round> {
  const options = manner.split(' ').filter((word) => word !== '');
  await volume.turn();
  volume.change();
  const during = await writesWhile(volume, () => volume.turn(...options));

  await volume.turn();
  volume.change();
  volume.createSnapshot('alone');
  const alone = await writesWhile(volume, () => sleep(1000 * during.seconds));
  volume.removeSnapshot('alone');
  return {
    manner,
    alone: percentile99(alone.writes),
    during: percentile99(during.writes),
    writes: during.writes.length,
    seconds: during.seconds,
  };
}

interface Watched {
  readonly writes: readonly Write[];
  readonly seconds: number;
}

/** Those that began while the work was under way. */
async function writesWhile(volume: BenchVolume, work: () => Promise<unknown>): Promise<Watched> {
  const writer = new Writer(volume.path, volume.size);
  await writer.started;
  await sleep(WARM_UP_MS);
  const begin = wallClock();
  await work();
  const end = wallClock();
  const writes = (await writer.stop()).filter(({ at }) => at >= begin && at <= end);
  return { writes, seconds: (end - begin) / 1000 };
}

/** Milliseconds, the same in all processes. */
function wallClock(): number {
  return performance.timeOrigin + performance.now();
}

interface Write {
  /** When it began, as wallClock tells it. */
  readonly at: number;
  /** Milliseconds. */
  readonly took: number;
}

function percentile99(writes: readonly Write[]): number {
  const sorted = writes.map(({ took }) => took).sort((a, b) => a - b);
  return sorted[Math.ceil(0.99 * sorted.length) - 1] ?? Number.NaN;
}

/** Durable writes of 4 KiB at random places, one every other millisecond at most. */
const SCRIPT = `
  const fs = require('node:fs');
  const { randomFillSync, randomInt } = require('node:crypto');
  const [, device, size] = process.argv;
  const fd = fs.openSync(device, fs.constants.O_WRONLY | fs.constants.O_DSYNC);
  const piece = Buffer.alloc(4096);
  const writes = [];
  const timer = setInterval(() => {
    randomFillSync(piece);
    const begin = performance.now();
    fs.writeSync(fd, piece, 0, 4096, randomInt(Number(size) / 4096) * 4096);
    const at = performance.timeOrigin + begin;
    writes.push({ at, took: performance.now() - begin });
    if (writes.length === 1) console.log('writes');
  }, 2);
  process.on('SIGTERM', () => {
    clearInterval(timer);
    console.log(JSON.stringify(writes));
  });`;

class Writer {
  /** Resolves when the first write is done. */
  readonly started: Promise<unknown>;
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  #said = '';

  constructor(path: string, size: number) {
    const words = ['-e', SCRIPT, path, `${size}`];
    this.#child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    const { stdout } = this.#child;
    stdout.setEncoding('utf8').on('data', (piece: string) => {
      this.#said += piece;
    });
    this.started = once(stdout, 'data');
  }

  async stop(): Promise<readonly Write[]> {
    this.#child.kill();
    await once(this.#child, 'close');
    const [, writes = '[]'] = this.#said.split('\n', 2);
    return JSON.parse(writes) as Write[];
  }
}

/** A thick volume of a volume group of its own, and the cycle of it to a file. */
class BenchVolume {
  readonly path: string;
  readonly size: number;
  readonly #group = `lvmsync-bench-${process.pid}`;
  readonly #disk: string;
  readonly #copy: string;
  readonly #chain: string;

  constructor(media: Media) {
    this.size = media.size / 2;
    this.#copy = media.destination;
    this.#chain = media.file('chain');
    const file = media.file('volume-group');
    execFileSync('truncate', ['-s', `${4 * this.size + 64 * MIB}`, file]);
    this.#disk = run('losetup', '-f', '--show', file).trim();
    try {
      run('vgcreate', '-q', this.#group, this.#disk);
      run('lvcreate', '-q', '-y', '-Wn', '-L', `${this.size}b`, '-n', 'mail', this.#group);
    } catch (error) {
      run('losetup', '-d', this.#disk);
      throw error;
    }
    this.path = `/dev/${this.#group}/mail`;
  }

  remove(): void {
    run('vgremove', '-q', '-f', '-y', this.#group);
    run('losetup', '-d', this.#disk);
  }

  async turn(...options: string[]): Promise<void> {
    const place = [this.#copy, '--snapback', this.#chain, '--size', '110%'];
    const [program = '', ...words] = ours('cycle', `${this.#group}/mail`, ...place, ...options);
    const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'] });
    const said = text(child.stderr);
    const [status] = await once(child, 'exit');
    if (status !== 0) throw new Error(await said);
  }

  /** Many short writes: what a turn then has to send. */
  change(): void {
    const script = `
      const fs = require('node:fs');
      const { randomBytes, randomInt } = require('node:crypto');
      const fd = fs.openSync(process.argv[1], 'r+');
      for (let i = 0; i < ${CHANGES}; i++) {
        fs.writeSync(fd, randomBytes(4096), 0, 4096, randomInt(${this.size / 4096}) * 4096);
      }
      fs.fsyncSync(fd);`;
    run(process.execPath, '-e', script, this.path);
  }

  createSnapshot(name: string): void {
    const size = ['--extents', '110%ORIGIN'];
    run('lvcreate', '-q', '-y', '-s', ...size, '-n', name, `${this.#group}/mail`);
  }

  removeSnapshot(name: string): void {
    run('lvremove', '-q', '-y', `${this.#group}/${name}`);
  }
}

function run(program: string, ...words: readonly string[]): string {
  return execFileSync(program, words, { encoding: 'utf8' });
}

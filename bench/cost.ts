/** What a command costs: the clock, the processor and memory, and what many rounds of it say. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtTool } from './native-tools.js';

/** Certificates that a site adds to each Node make each start of it slower, and say nothing of ours. */
const { NODE_EXTRA_CA_CERTS: _certificates, ...ENVIRONMENT } = process.env;

/** Of all that Linux counts in /proc, on every platform. */
export const TICKS_PER_SECOND = 100;

export interface Cost {
  /** Seconds on the clock. */
  readonly wall: number;
  /** Processor seconds of all processes, user and system; threads of the kernel are nobody's. */
  readonly cpu: number;
  /** What all processors did meanwhile, whoever it was for; in steps of 0.01. */
  readonly machineCpu: number;
  /** The greatest peak of any one process, in MiB. */
  readonly peakMiB: number;
}

/** Runs `words`, for example `['sh', '-c', 'a | b']`. Throws with its messages where it fails. */
export function costOf(words: readonly string[], env: NodeJS.ProcessEnv = {}): Cost {
  const folder = mkdtempSync(join(tmpdir(), 'lvmsync-cost-'));
  const report = join(folder, 'report');
  try {
    const before = machineCpu();
    const { status, stderr, error } = spawnSync(builtTool('measured'), [report, ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
      env: { ...ENVIRONMENT, ...env },
    });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`${words.join(' ')}: status ${status}\n${stderr}`);
    const [wall = 0, user = 0, system = 0, peakKiB = 0] = readFileSync(report, 'utf8')
      .split(' ')
      .map(Number);
    const meanwhile = machineCpu() - before;
    return { wall, cpu: user + system, machineCpu: meanwhile, peakMiB: peakKiB / 1024 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Seconds since the machine began in which a processor was neither idle nor taken away from it. */
function machineCpu(): number {
  const [, line = ''] = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8')) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(' ').map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    least: at(0),
    greatest: at(sorted.length - 1),
  };
}
